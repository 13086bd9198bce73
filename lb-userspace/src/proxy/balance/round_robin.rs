//! Smooth weighted round-robin, as nginx has it: in each round all gain their weight, and the one
//! with the most has its turn and pays the sum. Turns are spread evenly instead of in runs.

use super::Candidate;

/// The next of those that take part. `turns` holds what each has gained.
pub(super) fn pick(
    turns: &mut [i64],
    candidates: &[Candidate],
    takes_part: impl Fn(Candidate) -> bool,
) -> Option<usize> {
    let mut sum = 0;
    let mut next: Option<(usize, &mut i64)> = None;
    for (position, (gained, candidate)) in turns.iter_mut().zip(candidates).enumerate() {
        if !takes_part(*candidate) {
            continue;
        }
        *gained += i64::from(candidate.weight);
        sum += i64::from(candidate.weight);
        if next.as_ref().is_none_or(|(_, most)| *gained > **most) {
            next = Some((position, gained));
        }
    }
    let (position, gained) = next?;
    *gained -= sum;
    Some(position)
}
