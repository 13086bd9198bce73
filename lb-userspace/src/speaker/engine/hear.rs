//! The adverts that the speaker's loop takes in.

use super::Engine;
use crate::{
    speaker::{ears::Heard, message::Noted},
    vrrp::Reject,
};

/// The messages that are taken in between two looks at the clock: whoever floods the link must not stop
/// this node's own adverts.
const AT_ONCE: usize = 256;

impl Engine {
    /// Takes in what the sockets hold.
    pub(super) async fn hear(&mut self) {
        let mut notes = Vec::new();
        self.behind = true;
        for _ in 0..AT_ONCE {
            let Some(heard) = self.ears.next() else {
                self.behind = false;
                break;
            };
            let interface = heard.interface.clone();
            if let Err(reason) = self.take_in(heard, &mut notes).await {
                let counts = self.rejected.entry(interface).or_default();
                *counts.entry(reason).or_default() += 1;
            }
        }
        self.tell(notes);
    }

    async fn take_in(&mut self, heard: Heard, notes: &mut Vec<Noted>) -> Result<(), Reject> {
        let (advert, dialect) = heard.advert?;
        let is_ipv4 = heard.from.is_ipv4();
        for team in &mut self.teams {
            let mut members = team.members();
            let place = members.position(|(it, _)| it.hears(heard.index, &advert, is_ipv4));
            drop(members);
            if let Some(place) = place {
                let said = (&advert, dialect);
                return team.hear(place, said, heard.from, &mut self.tools, notes).await;
            }
        }
        Err(Reject::UnknownInstance)
    }
}
