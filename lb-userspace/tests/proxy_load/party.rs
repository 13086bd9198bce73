//! One side of a session: it does its part, and compares every byte of the other's.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

use crate::{
    bytes::{Bytes, LONGEST},
    plan::{Plan, Role},
};

/// Whether those who stall go on.
pub(crate) type Gate = watch::Receiver<bool>;

/// A side of a session.
pub(crate) struct Party {
    stream: TcpStream,
    own: Role,
    other: Role,
    says: Bytes,
    hears: Bytes,
}

impl Party {
    pub(crate) fn client(stream: TcpStream, plan: &Plan) -> Self {
        let (says, hears) = (Bytes::new(2 * plan.seed), Bytes::new(2 * plan.seed + 1));
        Self { stream, own: plan.client, other: plan.server, says, hears }
    }

    pub(crate) fn server(stream: TcpStream, plan: &Plan) -> Self {
        let (says, hears) = (Bytes::new(2 * plan.seed + 1), Bytes::new(2 * plan.seed));
        Self { stream, own: plan.server, other: plan.client, says, hears }
    }

    /// Plays its part. Panics if what it sees is not what the other one did.
    pub(crate) async fn play(self, gate: Gate) {
        let Self { mut stream, own, other, says, hears } = self;
        let (reader, writer) = stream.split();
        let hear = hear(reader, hears, own.stalls, gate);
        let say = say(writer, says, own);
        if own.resets {
            tokio::select! {
                said = say => said.expect("nobody else resets"),
                () = async { drop(hear.await); std::future::pending().await } => {}
            }
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            return;
        }
        let (heard, said) = tokio::join!(hear, say);
        if other.resets {
            // The kernel tells it once, to whoever comes first; the other one may see an end.
            let errors: Vec<_> = [heard.err(), said.err()].into_iter().flatten().collect();
            assert!(!errors.is_empty(), "an end instead of a reset");
            assert!(errors.iter().all(is_reset), "{errors:?}");
        } else {
            said.unwrap();
            assert_eq!(heard.unwrap(), other.sends);
        }
    }
}

/// Sends all that it has to, in pieces of random lengths, and ends its direction.
async fn say(mut to: WriteHalf<'_>, mut bytes: Bytes, own: Role) -> io::Result<()> {
    let mut left = own.sends as usize;
    while left > 0 {
        let length = if fastrand::bool() { 100 } else { LONGEST };
        let piece = bytes.next(fastrand::usize(1..=length).min(left));
        to.write_all(piece).await?;
        bytes.skip(piece.len());
        left -= piece.len();
    }
    if own.resets { Ok(()) } else { to.shutdown().await }
}

/// Reads to the end. Gives the number of bytes, all of which were right.
async fn hear(
    mut from: ReadHalf<'_>,
    mut bytes: Bytes,
    stalls: Option<u64>,
    mut gate: Gate,
) -> io::Result<u64> {
    let (mut buffer, mut count) = (vec![0; 8 * 1024], 0);
    loop {
        if stalls.is_some_and(|stalls| count >= stalls) {
            drop(gate.wait_for(|open| *open).await.unwrap());
        }
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(count);
        }
        assert!(bytes.next(length) == &buffer[..length], "other bytes, of {length} behind {count}");
        bytes.skip(length);
        count += length as u64;
    }
}

/// Whether a session ended by a reset.
fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
