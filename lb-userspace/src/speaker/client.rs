//! What the daemon wants of the speaker.

use std::{io, path::Path, path::PathBuf};

use tokio::sync::watch;

use super::{
    message::{Duties, Holdings, Noted, Order, Report, RouteState, VERSION, What},
    process::COMMAND,
};
use crate::{
    companion::client::{self, Companion},
    events::{Event, Kind},
    vrrp::State,
};

/// The speaker, as the daemon sees it.
pub type Speaker = Companion<Wishes>;

/// What the speaker is to know.
#[derive(Debug)]
pub struct Wishes {
    /// What it is there for.
    pub duties: watch::Receiver<Duties>,
    /// What is seen of what is tracked, as soon as anything is: nothing must not look like a failure.
    pub report: watch::Receiver<Option<Report>>,
}

impl client::Wishes for Wishes {
    type Order = Order;
    type View = Holdings;
    type Noted = Noted;

    const NAME: &'static str = "the VRRP speaker";
    const COMMAND: &'static str = COMMAND;
    const VERSION: u32 = VERSION;

    fn replace(program: PathBuf) -> Order {
        Order::Replace(program)
    }

    fn event(noted: &Noted) -> Event {
        event(noted)
    }

    fn is_over(&self) -> bool {
        self.duties.has_changed().is_err()
    }

    async fn needed(&mut self) {
        if self.duties.wait_for(|duties| !duties.is_empty()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn again(&mut self) {
        self.duties.mark_changed();
        self.report.mark_changed();
    }

    async fn next(&mut self) -> Order {
        loop {
            tokio::select! {
                Ok(()) = self.duties.changed() => {
                    let duties = self.duties.borrow_and_update().clone();
                    return if duties.is_empty() { Order::Resign } else { Order::Configure(duties) };
                }
                Ok(()) = self.report.changed() => {
                    let report = self.report.borrow_and_update().clone();
                    if let Some(report) = report {
                        return Order::Report(report);
                    }
                }
                else => std::future::pending().await,
            }
        }
    }
}

/// Tells a speaker to end for good, and waits until it has; gives whether there was one.
pub fn resign(socket: &Path) -> io::Result<bool> {
    client::end(socket, &Order::Resign)
}

/// What has happened to a virtual router or a route, as an event of the node.
fn event(Noted { subject, what }: &Noted) -> Event {
    let (kind, cause) = match what {
        What::Became(state, cause) => {
            let kind = match state {
                State::Master => Kind::Master,
                State::Backup => Kind::Backup,
                State::Fault => Kind::Fault,
            };
            (kind, cause.to_string())
        }
        What::Rival(peer) => {
            let cause = format!(
                "{} is master as well, with priority {}: the link between the nodes is split, or was",
                peer.address, peer.priority
            );
            (Kind::SplitBrain, cause)
        }
        What::RivalGone(peer) => {
            (Kind::SplitHealed, format!("{} is not master any more", peer.address))
        }
        What::Route(state, cause, who) => {
            let kind = match state {
                RouteState::Announced => Kind::Announced,
                RouteState::Withdrawn => Kind::Withdrawn,
            };
            return Event::new(kind, cause).of_route(subject).by(who);
        }
    };
    Event::new(kind, cause).of_router(subject)
}
