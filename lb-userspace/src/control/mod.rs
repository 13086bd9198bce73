//! The node's state and the one task that owns it.

mod explain;
mod report;
pub mod state;
pub mod task;

use tokio::sync::{mpsc, oneshot};

use crate::{
    api::{
        explain::{Explanation, Question},
        plan::{Difference, File, Plan, Saved},
        proxy::Proxy,
        types::{Backend, Change, Changed, Routers, Service, Stats, Status},
    },
    events::Who,
    speaker::message::Route,
};

/// Why a request was not carried out; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It names something that does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It breaks a rule of the configuration.
    #[error("{0}")]
    Invalid(String),
    /// The kernel refused it, or the daemon is stopping.
    #[error("{0}")]
    Failed(String),
}

/// A question or an order to the control task.
#[derive(Debug)]
pub enum Request {
    /// The node as a whole.
    Status(oneshot::Sender<Result<Status, Rejection>>),
    /// The services.
    Services(oneshot::Sender<Result<Vec<Service>, Rejection>>),
    /// The backends.
    Backends(oneshot::Sender<Result<Vec<Backend>, Rejection>>),
    /// All counters.
    Stats(oneshot::Sender<Result<Stats, Rejection>>),
    /// What becomes of a packet.
    Explain(Question, oneshot::Sender<Result<Explanation, Rejection>>),
    /// A change of the pools, and who wants it.
    Change(Change, Who, oneshot::Sender<Result<Changed, Rejection>>),
    /// What differs at run time from the file.
    Diff(oneshot::Sender<Result<Vec<Difference>, Rejection>>),
    /// What a file would change; the daemon's own if there is none.
    Plan(Option<File>, oneshot::Sender<Result<Plan, Rejection>>),
    /// Puts a file in force; the daemon's own if there is none.
    Apply(Option<File>, Who, oneshot::Sender<Result<Plan, Rejection>>),
    /// Writes the run-time changes into the daemon's file.
    Save(Who, oneshot::Sender<Result<Saved, Rejection>>),
    /// How the virtual routers are.
    Routers(oneshot::Sender<Result<Routers, Rejection>>),
    /// Hands the addresses of a virtual router over to another node; of all if none is named.
    Failover(Option<String>, Who, oneshot::Sender<Result<(), Rejection>>),
    /// How the routes are.
    Routes(oneshot::Sender<Result<Vec<Route>, Rejection>>),
    /// Whether a route is to be announced as far as it is well; all if none is named.
    Announce(Option<String>, bool, Who, oneshot::Sender<Result<(), Rejection>>),
    /// The proxies.
    Proxies(oneshot::Sender<Result<Vec<Proxy>, Rejection>>),
    /// Drops the run-time changes.
    Revert(Who, oneshot::Sender<Result<Plan, Rejection>>),
}

/// The control task, as its clients see it.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Request>);

impl Handle {
    /// A handle, and the requests made through it.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self(sender), receiver)
    }

    /// The node as a whole.
    pub async fn status(&self) -> Result<Status, Rejection> {
        self.ask(Request::Status).await
    }

    /// The services.
    pub async fn services(&self) -> Result<Vec<Service>, Rejection> {
        self.ask(Request::Services).await
    }

    /// The backends.
    pub async fn backends(&self) -> Result<Vec<Backend>, Rejection> {
        self.ask(Request::Backends).await
    }

    /// All counters.
    pub async fn stats(&self) -> Result<Stats, Rejection> {
        self.ask(Request::Stats).await
    }

    /// What becomes of a packet.
    pub async fn explain(&self, question: Question) -> Result<Explanation, Rejection> {
        self.ask(|answer| Request::Explain(question, answer)).await
    }

    /// Changes the pools; on an error nothing has changed.
    pub async fn change(&self, change: Change, who: Who) -> Result<Changed, Rejection> {
        self.ask(|answer| Request::Change(change, who, answer)).await
    }

    /// What differs at run time from the file.
    pub async fn diff(&self) -> Result<Vec<Difference>, Rejection> {
        self.ask(Request::Diff).await
    }

    /// What a file would change; the daemon's own if there is none.
    pub async fn plan(&self, file: Option<File>) -> Result<Plan, Rejection> {
        self.ask(|answer| Request::Plan(file, answer)).await
    }

    /// Puts a file in force; the daemon's own if there is none. On an error nothing has changed.
    pub async fn apply(&self, file: Option<File>, who: Who) -> Result<Plan, Rejection> {
        self.ask(|answer| Request::Apply(file, who, answer)).await
    }

    /// Writes the run-time changes into the daemon's file.
    pub async fn save(&self, who: Who) -> Result<Saved, Rejection> {
        self.ask(|answer| Request::Save(who, answer)).await
    }

    /// Drops the run-time changes.
    pub async fn revert(&self, who: Who) -> Result<Plan, Rejection> {
        self.ask(|answer| Request::Revert(who, answer)).await
    }

    /// How the virtual routers are.
    pub async fn routers(&self) -> Result<Routers, Rejection> {
        self.ask(Request::Routers).await
    }

    /// Hands the addresses of a virtual router over to another node; of all if none is named.
    pub async fn fail_over(&self, router: Option<String>, who: Who) -> Result<(), Rejection> {
        self.ask(|answer| Request::Failover(router, who, answer)).await
    }

    /// How the routes are.
    pub async fn routes(&self) -> Result<Vec<Route>, Rejection> {
        self.ask(Request::Routes).await
    }

    /// Lets a route be announced as far as it is well, or does not; all if none is named.
    pub async fn announce(
        &self,
        route: Option<String>,
        wanted: bool,
        who: Who,
    ) -> Result<(), Rejection> {
        self.ask(|answer| Request::Announce(route, wanted, who, answer)).await
    }

    /// The proxies.
    pub async fn proxies(&self) -> Result<Vec<Proxy>, Rejection> {
        self.ask(Request::Proxies).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Rejection>>) -> Request,
    ) -> Result<T, Rejection> {
        let stopping = |()| Rejection::Failed("the daemon is stopping".into());
        let (sender, answer) = oneshot::channel();
        self.0.send(request(sender)).await.map_err(|_| stopping(()))?;
        answer.await.map_err(|_| stopping(()))?
    }
}
