//! All figures of all rounds, and how they relate to those of another subject.

use std::collections::BTreeMap;

use super::{
    scenario::{Figures, Metric, Scenario},
    subject::Subject,
};

/// What a figure is of.
type Kind = (Scenario, Metric);

/// The figures by round, in the order of the table.
#[derive(Default)]
pub(super) struct Results(BTreeMap<(Kind, Subject), Vec<f64>>);

/// Several figures of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` of none. The median of an even number is the mean of the two in the middle.
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let upper = figures.get(figures.len() / 2)?;
        let lower = figures.get((figures.len() - 1) / 2)?;
        let (min, max) = (*figures.first()?, *figures.last()?);
        Some(Self { median: f64::midpoint(*lower, *upper), min, max })
    }
}

impl Results {
    /// Adds those of a turn.
    pub(super) fn note(&mut self, scenario: Scenario, subject: Subject, figures: Figures) {
        for (metric, figure) in figures {
            self.0.entry(((scenario, metric), subject)).or_default().push(figure);
        }
    }

    /// Every kind that was measured, with its subjects.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (Kind, Subject)> {
        self.0.keys().copied()
    }

    /// The figures of all rounds.
    pub(super) fn figures(&self, kind: Kind, of: Subject) -> Option<Spread> {
        Spread::of(self.0.get(&(kind, of))?.clone())
    }

    /// In relation to another subject's figures of the same round.
    pub(super) fn ratios(&self, kind: Kind, of: Subject, to: Subject) -> Option<Spread> {
        let (of, to) = (self.0.get(&(kind, of))?, self.0.get(&(kind, to))?);
        let pairs = of.iter().zip(to).filter(|(_, to)| **to > 0.0);
        Spread::of(pairs.map(|(of, to)| of / to).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = (Scenario::Bulk1, Metric::Gbps);

    fn results(subject: Subject, figures: &[f64], results: &mut Results) {
        for figure in figures {
            results.note(KIND.0, subject, vec![(KIND.1, *figure)]);
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut all = Results::default();
        results(Subject::Lb, &[8.0, 2.0, 3.0], &mut all);
        results(Subject::Haproxy, &[4.0, 4.0, 1.0], &mut all);
        let ratios = all.ratios(KIND, Subject::Lb, Subject::Haproxy);
        assert_eq!(ratios, Some(Spread { median: 2.0, min: 0.5, max: 3.0 }));
        assert_eq!(all.ratios(KIND, Subject::Lb, Subject::Nginx), None);
        let figures = all.figures(KIND, Subject::Lb);
        assert_eq!(figures, Some(Spread { median: 3.0, min: 2.0, max: 8.0 }));
    }

    #[test]
    fn the_median_of_two_lies_between() {
        let spread = Spread::of(vec![3.0, 1.0]);
        assert_eq!(spread, Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
