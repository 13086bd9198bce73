//! The better of two at random.

use std::ops::Range;

use super::Candidate;

/// Draws two different candidates by weight, and takes the one with fewer sessions for its weight.
/// `random` gives a number within a range.
pub(super) fn pick(
    candidates: &[Candidate],
    mut random: impl FnMut(Range<u32>) -> u32,
) -> Option<usize> {
    let (first, one) = draw(candidates, None, &mut random)?;
    let Some((second, other)) = draw(candidates, Some(first), &mut random) else {
        return Some(first);
    };
    Some(if other.has_less(one) { second } else { first })
}

fn draw(
    candidates: &[Candidate],
    without: Option<usize>,
    random: &mut impl FnMut(Range<u32>) -> u32,
) -> Option<(usize, Candidate)> {
    let others = || candidates.iter().enumerate().filter(|(it, _)| Some(*it) != without);
    let sum = others().map(|(_, it)| it.weight).sum();
    if sum == 0 {
        return None;
    }
    let mut left = random(0..sum);
    for (position, candidate) in others() {
        if left < candidate.weight {
            return Some((position, *candidate));
        }
        left -= candidate.weight;
    }
    None
}
