//! What a node says of its rings: datagrams of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Rings;

/// The UDP port that nodes hear each other at.
pub const PORT: u16 = 8112;
/// The version of the message.
const VERSION: u32 = 1;
/// No datagram that is sent is longer, in bytes: it fits the smallest link of IPv6 (RFC 8200 §5).
pub(super) const LONGEST: usize = 1200;
/// The bytes of a message without rings, at the most.
const FRAME: usize = 200;
/// What the name of a node is cut to, in bytes.
const NAME: usize = 64;

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    /// [`VERSION`].
    lb: u32,
    /// What tells the daemon from all others.
    pub(super) id: u64,
    /// What the machine calls itself.
    pub(super) node: String,
    /// The digests in hexadecimal, by what names the service on all nodes; some of the node's.
    pub(super) rings: BTreeMap<String, String>,
}

/// Why a datagram is no [`Message`].
#[derive(Debug, thiserror::Error)]
pub(super) enum NoMessage {
    #[error("it is not what a node says: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is of version {0}, not {VERSION}")]
    Version(u32),
    #[error("it has a text that is none of a node")]
    Text,
}

/// All that a node has to say, in as many datagrams as it takes: at least one.
pub(super) fn encode(id: u64, node: &str, rings: &Rings) -> Vec<Vec<u8>> {
    let node: String = node.chars().filter(|it| is_plain(*it)).take(NAME).collect();
    let mut parts = vec![BTreeMap::new()];
    let mut room = LONGEST - FRAME;
    for (key, own) in rings {
        let digest = own.digest.to_string();
        // Quotes, colon and comma.
        let length = key.len() + digest.len() + 6;
        if length > room {
            parts.push(BTreeMap::new());
            room = LONGEST - FRAME;
        }
        room = room.saturating_sub(length);
        if let Some(part) = parts.last_mut() {
            let _: Option<String> = part.insert(key.clone(), digest);
        }
    }
    let message = |rings| Message { lb: VERSION, id, node: node.clone(), rings };
    // Texts and numbers cannot fail.
    parts.into_iter().filter_map(|rings| serde_json::to_vec(&message(rings)).ok()).collect()
}

/// Reads a datagram.
pub(super) fn decode(datagram: &[u8]) -> Result<Message, NoMessage> {
    let message: Message = serde_json::from_slice(datagram)?;
    let Message { lb, id: _, node, rings } = &message;
    if *lb != VERSION {
        return Err(NoMessage::Version(*lb));
    }
    let is_text = |text: &str| text.len() <= NAME && text.chars().all(is_plain);
    if is_text(node) && rings.iter().all(|(key, digest)| is_text(key) && is_text(digest)) {
        Ok(message)
    } else {
        Err(NoMessage::Text)
    }
}

/// Whether it can be shown on a terminal as it is.
fn is_plain(it: char) -> bool {
    it.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{cluster::Own, ring::Digest};

    fn rings(count: usize) -> Rings {
        let ring = |number: usize| {
            let own = Own { service: format!("web{number}"), digest: Digest(number as u64) };
            (format!("[2001:db8:1111:2222:3333:4444:5555:{number:x}]:443/tcp"), own)
        };
        (0..count).map(ring).collect()
    }

    #[test]
    fn all_rings_arrive_in_datagrams_that_fit_every_link() {
        for count in [0, 1, 15, 1000] {
            let (rings, mut heard) = (rings(count), BTreeMap::new());
            let datagrams = encode(u64::MAX, &"n".repeat(300), &rings);
            assert!(!datagrams.is_empty());
            for datagram in datagrams {
                assert!(datagram.len() <= LONGEST, "{}", datagram.len());
                let message = decode(&datagram).unwrap();
                assert_eq!((message.id, message.node), (u64::MAX, "n".repeat(NAME)));
                heard.extend(message.rings);
            }
            let said: BTreeMap<_, _> =
                rings.into_iter().map(|(key, own)| (key, own.digest.to_string())).collect();
            assert_eq!(heard, said);
        }
    }

    #[test]
    fn what_cannot_be_shown_is_no_message() {
        let message = |node: &str, lb| {
            let message = Message { lb, id: 1, node: node.into(), rings: BTreeMap::new() };
            decode(&serde_json::to_vec(&message).unwrap())
        };
        assert!(message("lb-1", VERSION).is_ok());
        assert!(matches!(message("lb-1", 2), Err(NoMessage::Version(2))));
        assert!(matches!(message("\u{1b}[31m", VERSION), Err(NoMessage::Text)));
        assert!(matches!(message(&"n".repeat(65), VERSION), Err(NoMessage::Text)));
        let foreign = br#"{"lb":1,"id":1,"node":"a","rings":{},"more":1}"#;
        assert!(matches!(decode(foreign), Err(NoMessage::Json(_))));
    }

    proptest! {
        #[test]
        fn no_datagram_does_harm(datagram in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _message = decode(&datagram);
        }

        #[test]
        fn no_spoilt_message_does_harm(place in 0usize..600, byte: u8) {
            let mut datagram = encode(7, "lb-1", &rings(4)).remove(0);
            let place = place % datagram.len();
            datagram[place] = byte;
            let _message = decode(&datagram);
        }
    }
}
