//! What the task has to do with the VRRP speaker.

use super::{Task, tell};
use crate::{
    api::types::Routers,
    control::Rejection,
    dataplane::{Counters, Dataplane, Trials},
    events::{Event, Kind, Who},
    speaker::message::{Order, Router},
    vrrp::State,
};

impl<D: Dataplane + Counters + Trials> Task<D> {
    /// Tells the speaker what only this daemon knows of what it tracks.
    pub(super) fn report(&mut self) {
        if !self.state.config.vrrp.is_empty() {
            let interfaces = &self.facts.interfaces;
            tell(&self.orders.report, Some(self.state.speaker_report(interfaces)));
        }
    }

    /// How the virtual routers are.
    pub(super) fn routers(&self) -> Result<Routers, Rejection> {
        if self.state.config.vrrp.is_empty() {
            return Ok(Routers::default());
        }
        let silent = "the VRRP speaker does not answer: look at the daemon's log";
        let view = self.speaker.view().ok_or_else(|| Rejection::Failed(silent.into()))?;
        Ok(Routers { view, cluster: self.cluster.borrow().clone() })
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
            let known: Vec<_> = view.routers.iter().map(|it| it.name.as_str()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            let text =
                format!("there is no virtual router `{name}`; the virtual routers are: {known}");
            return Err(Rejection::NotFound(text));
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
}
