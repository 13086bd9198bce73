mod behaviour;
mod oaep;
mod password;
mod peer;
mod rows;
