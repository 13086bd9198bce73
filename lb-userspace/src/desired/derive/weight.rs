//! The weights of a pool's backends.

use super::Inputs;
use crate::{
    config::Service,
    desired::Usage,
    health::{self, TargetKey, agent::Said},
};

/// The weight of each backend, in the order of the pool. Only their relations count: rings do not change
/// if all are multiplied alike.
pub(super) fn of(inputs: Inputs<'_>, service: &Service, usage: Usage) -> Vec<u16> {
    let weights = service.backends.iter().map(|backend| {
        let key = TargetKey::of(service, backend);
        let finding = inputs.health.get(&key);
        let parts = match usage {
            Usage::Normal => finding.map_or(health::FULL, |finding| finding.parts),
            Usage::Panic => health::FULL,
            Usage::Sorry => 0,
        };
        let share = inputs.said(service, &key).map_or(100, |said: &Said| said.share);
        // Without agents all shares are alike.
        let share = if service.agent.is_some() { share } else { 1 };
        u32::from(backend.weight) * u32::from(parts) * u32::from(share)
    });
    fit(&weights.collect::<Vec<_>>())
}

/// As large as they may be, in the same relations: what is not zero stays so.
fn fit(weights: &[u32]) -> Vec<u16> {
    let largest = weights.iter().copied().max().unwrap_or(0);
    let most = u32::from(u16::MAX);
    let scaled = |weight: u32| {
        if largest <= most {
            weight
        } else {
            let scaled = u64::from(weight) * u64::from(most) / u64::from(largest);
            u32::try_from(scaled).unwrap_or(most).max(u32::from(weight > 0))
        }
    };
    weights.iter().map(|&weight| u16::try_from(scaled(weight)).unwrap_or(u16::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_relations_and_none_becomes_zero() {
        assert_eq!(fit(&[30, 0, 10]), [30, 0, 10]);
        assert_eq!(fit(&[65_535, 1]), [65_535, 1]);
        assert_eq!(fit(&[1_000_000, 500_000, 1, 0]), [65_535, 32_767, 1, 0]);
        assert!(fit(&[]).is_empty());
    }
}
