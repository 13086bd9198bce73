//! A datagram.

use super::{Failure, Host, contains};
use crate::config::Udp;

/// Sends, and waits for the answer; for a refusal ("port unreachable") if none is expected.
pub(super) async fn check(Udp { send, expect }: &Udp, host: Host) -> Result<String, Failure> {
    let socket = host.udp().await?;
    let _ = socket.send(send).await.map_err(Failure::Connect)?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    let length = socket.recv(&mut answer).await.map_err(Failure::Connect)?;
    let expected = expect.as_deref().unwrap_or_default();
    if !contains(&answer[..length], expected) {
        return Err(Failure::Answer);
    }
    Ok("answered".into())
}
