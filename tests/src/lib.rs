//! The lab: network namespaces, a demo site with real servers, and the node under test.
//!
//! Everything here needs root. What it makes carries a prefix and is removed on drop; what a
//! crashed run left behind is removed by [`cleanup`].

pub mod agent;
pub mod bird;
pub mod case;
pub mod cleanup;
pub mod config;
pub mod demo;
pub mod download;
pub mod echo;
pub mod error;
pub mod keepalived;
pub mod mariadb;
pub mod netns;
pub mod nginx;
pub mod node;
pub mod packet;
pub mod packet_path;
pub mod pass;
pub mod pcap;
pub mod plan;
pub mod process;
pub mod run;
pub mod second;
pub mod sessions;
pub mod site;
pub mod stream;
pub mod traffic;
pub mod tunnel;
pub mod upload;
pub mod wire;
pub mod workspace;

pub use error::Error;
