//! Asks one server, again and again.

use std::{panic::AssertUnwindSafe, pin::Pin, time::Duration};

use futures::FutureExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::{
    failure::Failure,
    login::{Connection, login},
    question::{self, Dialect},
};
use crate::{
    config::proxy::{Monitor, Place},
    proxy::mysql::Said,
};

/// How long a turn that is late goes on. To give it up at its timeout would fill a server that hangs with
/// the threads of turns that nobody waits for, and logins that are given up count against
/// `max_connect_errors`, after which a server refuses everybody at this address.
const PATIENCE: Duration = Duration::from_secs(5);

/// A login if there is no connection, and the question. It gives the connection back if that is still good.
type Turn = Pin<Box<dyn Future<Output = Result<(Session, Said), Failure>> + Send>>;

/// A connection, and how its server is spoken to.
struct Session {
    connection: Connection,
    dialect: Dialect,
}

/// Asks a server once in an interval, for ever, and tells every answer and every failure.
pub(super) async fn run(place: Place, monitor: Monitor, tell: impl Fn(Result<Said, Failure>)) {
    let mut ticks = interval(monitor.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asker = Asker { place, monitor, session: None, late: None };
    loop {
        let _now = ticks.tick().await;
        tell(asker.ask().await);
    }
}

struct Asker {
    place: Place,
    monitor: Monitor,
    session: Option<Session>,
    late: Option<Late>,
}

/// A turn that has not ended in time. What it finds out does not count any more.
struct Late {
    turn: Turn,
    until: Instant,
}

impl Asker {
    async fn ask(&mut self) -> Result<Said, Failure> {
        let (begin, timeout) = (Instant::now(), self.monitor.timeout);
        let deadline = begin + timeout;
        if let Some(mut late) = self.late.take() {
            match timeout_at(deadline, &mut late.turn).await {
                Ok(Ok((session, _))) => self.session = Some(session),
                Ok(Err(_)) => {}
                Err(_) => {
                    self.late = Some(late).filter(|it| Instant::now() < it.until);
                    return Err(Failure::Late(timeout));
                }
            }
        }
        let mut turn = turn(self.place.clone(), self.monitor.clone(), self.session.take());
        if let Ok(result) = timeout_at(deadline, &mut turn).await {
            let (session, said) = result?;
            self.session = Some(session);
            return Ok(said);
        }
        self.late = Some(Late { turn, until: begin + PATIENCE });
        Err(Failure::Late(timeout))
    }
}

/// What a server sends must not end its monitor, should the client not be ready for it.
fn turn(place: Place, monitor: Monitor, session: Option<Session>) -> Turn {
    let turn = async move {
        if let Some(mut session) = session {
            match ask(&mut session).await {
                Ok(said) => return Ok((session, said)),
                // It may have been closed since, whatever became of the server.
                Err(failure) if failure.is_broken() => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut connection = login(&place, &monitor).await?;
        let dialect = question::dialect(&mut connection).await?;
        let mut session = Session { connection, dialect };
        let said = ask(&mut session).await?;
        Ok((session, said))
    };
    Box::pin(AssertUnwindSafe(turn).catch_unwind().map(|it| it.unwrap_or(Err(Failure::Client))))
}

async fn ask(Session { connection, dialect }: &mut Session) -> Result<Said, Failure> {
    question::ask(connection, *dialect).await
}
