//! Echo requests.

use std::{
    net::IpAddr,
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};

use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence};

use super::{Failure, Host};

/// The types of echo replies (RFC 792, RFC 4443 §4.2).
const REPLY4: u8 = 0;
const REPLY6: u8 = 129;

/// One socket of each family for all checks: each would hear the answers to all others.
#[derive(Default)]
pub(super) struct Pings {
    v4: OnceLock<Client>,
    v6: OnceLock<Client>,
    sent: AtomicU16,
}

impl Pings {
    pub(super) async fn check(&self, host: Host) -> Result<String, Failure> {
        let address = host.address.ip();
        let client = self.client(address).map_err(Failure::PingSocket)?;
        let ours = PingIdentifier(std::process::id() as u16);
        let sequence = PingSequence(self.sent.fetch_add(1, Ordering::Relaxed));
        let mut pinger = client.pinger(address, ours).await;
        // The check's own timeout comes first.
        let _ = pinger.timeout(std::time::Duration::MAX);
        let (answer, _) = pinger.ping(sequence, b"lb health check").await.map_err(Failure::Ping)?;
        let (kind, reply, from) = match answer {
            IcmpPacket::V4(it) => (it.get_icmp_type().0, REPLY4, it.get_source().into()),
            IcmpPacket::V6(it) => (it.get_icmpv6_type().0, REPLY6, it.get_source().into()),
        };
        if kind == reply {
            return Ok("echo".into());
        }
        let from = if from == address { host.name } else { from };
        Err(Failure::IcmpError { kind, from })
    }

    fn client(&self, address: IpAddr) -> std::io::Result<&Client> {
        let (client, kind) = match address {
            IpAddr::V4(_) => (&self.v4, ICMP::V4),
            IpAddr::V6(_) => (&self.v6, ICMP::V6),
        };
        if let Some(client) = client.get() {
            return Ok(client);
        }
        let new = Client::new(&Config::builder().kind(kind).build())?;
        Ok(client.get_or_init(|| new))
    }
}
