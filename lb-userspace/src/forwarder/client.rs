//! What the daemon wants of the forwarder.

use std::path::PathBuf;

use tokio::sync::watch;

use super::{
    message::{Duties, Holdings, Noted, Order, VERSION},
    process::COMMAND,
};
use crate::{
    companion::client::{self, Companion},
    events::{Event, Kind},
    proxy::mysql::Note,
};

/// The forwarder, as the daemon sees it.
pub type Forwarder = Companion<Wishes>;

/// What the forwarder is to do.
#[derive(Debug)]
pub struct Wishes(pub watch::Receiver<Duties>);

impl client::Wishes for Wishes {
    type Order = Order;
    type View = Holdings;
    type Noted = Noted;

    const NAME: &'static str = "the forwarder";
    const COMMAND: &'static str = COMMAND;
    const VERSION: u32 = VERSION;

    fn replace(program: PathBuf) -> Order {
        Order::Replace(program)
    }

    fn event(Noted { proxy, note }: &Noted) -> Event {
        Event::new(kind(note), note.to_string()).of_service(proxy)
    }

    fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }

    async fn needed(&mut self) {
        if self.0.wait_for(|duties| !duties.proxies.is_empty()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn again(&mut self) {
        self.0.mark_changed();
    }

    async fn next(&mut self) -> Order {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let duties = self.0.borrow_and_update().clone();
        if duties.proxies.is_empty() { Order::Resign } else { Order::Configure(duties) }
    }
}

const fn kind(note: &Note) -> Kind {
    match note {
        Note::PrimaryLost { .. } => Kind::PrimaryLost,
        Note::PrimaryBack { .. } | Note::Promoted { .. } => Kind::Primary,
        Note::TwoPrimaries { .. } => Kind::TwoPrimaries,
        Note::Silent { .. } => Kind::Silent,
        Note::Answers { .. } => Kind::Answers,
        Note::Lagging { .. } | Note::NotReplicating { .. } => Kind::Lagging,
        Note::CaughtUp { .. } => Kind::CaughtUp,
    }
}
