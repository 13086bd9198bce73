//! The link of the checks that go through the packet path.

use super::Task;
use crate::{
    dataplane::{Attach, Dataplane},
    error::with_causes,
    topology::probe,
};

impl<D: Dataplane + Attach> Task<D> {
    /// Makes sure that the link is there and has what the configuration needs now: a reloaded file may have
    /// the first check in a family, and somebody may have taken the link away.
    pub(super) async fn provide_probe_link(&mut self) {
        let blocks: Vec<_> = self.state.config.probe_blocks().collect();
        if probe::is_provided(&self.state.topology, &blocks) {
            return;
        }
        let outcome = match probe::provide(&blocks).await {
            Ok(Some(far)) => {
                self.state.dataplane_mut().attach_probe(far).map_err(|error| error.to_string())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(with_causes(&error)),
        };
        self.state.see_way_of_checks(outcome);
    }
}
