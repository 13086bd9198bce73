//! What the task has to do with the speaker.

use super::{Task, tell};
use crate::{
    api::types::Routers,
    control::Rejection,
    dataplane::{Counters, Dataplane, Trials},
    events::{Event, Kind, Who},
    speaker::message::{Holdings, Order, Route, Router},
    vrrp::State,
};

impl<D: Dataplane + Counters + Trials> Task<D> {
    /// Tells the speaker what only this daemon knows of what it tracks.
    pub(super) fn report(&mut self) {
        if !self.state.duties().is_empty() {
            let interfaces = &self.facts.interfaces;
            tell(&self.orders.report, Some(self.state.speaker_report(interfaces)));
        }
    }

    /// How all that the speaker holds is.
    pub(super) fn holdings(&self) -> Result<Holdings, Rejection> {
        if self.state.duties().is_empty() {
            return Ok(Holdings::default());
        }
        let silent = "the VRRP speaker does not answer: look at the daemon's log";
        self.speaker.view().ok_or_else(|| Rejection::Failed(silent.into()))
    }

    /// How the virtual routers are.
    pub(super) fn routers(&self) -> Result<Routers, Rejection> {
        let view = self.holdings()?.vrrp;
        Ok(Routers { view, cluster: self.cluster.borrow().clone() })
    }

    /// How the routes are.
    pub(super) fn routes(&self) -> Result<Vec<Route>, Rejection> {
        self.holdings().map(|it| it.routes)
    }

    /// Hands addresses over, and notes whose doing that is.
    pub(super) fn fail_over(&mut self, name: Option<String>, who: &Who) -> Result<(), Rejection> {
        let view = self.routers()?.view;
        let masters = view.routers.iter().filter(|it| it.state == State::Master);
        let named =
            |it: &&Router| name.is_none() || name.as_ref() == Some(&it.name) || name == it.group;
        let masters: Vec<_> = masters.filter(named).collect();
        if let Some(name) = &name
            && !view.routers.iter().any(|it| named(&it))
        {
            return Err(unknown("virtual router", name, view.routers.iter().map(|it| &*it.name)));
        }
        if masters.is_empty() {
            let text = "this node is master of none of them: nothing to hand over";
            return Err(Rejection::Invalid(text.into()));
        }
        for router in masters {
            let event = Event::new(Kind::Failover, "its addresses are handed over");
            self.state.events().note(event.of_router(&router.name).by(who));
        }
        self.speaker.order(Order::Failover(name));
        Ok(())
    }

    /// Lets a route be announced, or does not; all of them if none is named.
    pub(super) fn announce(
        &mut self,
        route: Option<String>,
        wanted: bool,
        who: Who,
    ) -> Result<(), Rejection> {
        let routes = self.routes()?;
        if let Some(name) = &route
            && !routes.iter().any(|it| it.name == *name)
        {
            return Err(unknown("route", name, routes.iter().map(|it| &*it.name)));
        }
        if routes.is_empty() {
            let text = "there are no routes: add [[route]] tables to the configuration";
            return Err(Rejection::Invalid(text.into()));
        }
        self.speaker.order(Order::Announce { route, wanted, who });
        Ok(())
    }
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Rejection {
    let known: Vec<_> = known.collect();
    let known = if known.is_empty() { "none".into() } else { known.join(", ") };
    Rejection::NotFound(format!("there is no {kind} `{name}`; the {kind}s are: {known}"))
}
