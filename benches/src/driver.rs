//! The interleaved driver: every entrant once a round, in an order shuffled per round, ratios
//! taken inside the round, medians over the rounds.
//!
//! A shared machine drifts. What is measured minutes apart cannot be compared; what is measured
//! within one round can, and the median forgets the rounds in which somebody else woke up.

use std::collections::BTreeMap;

use crate::record::{Better, Record, median, ratio, rounded, spread};

/// How long to look.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds asked for on the command line.
    pub rounds: Option<usize>,
    pub quick: bool,
}

impl Effort {
    /// `quick` or `full`, whichever is asked for.
    pub fn pick<T>(self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// One measurement of one entrant: the figure, or the rule it broke.
pub type Measured = Result<f64, String>;

/// What an entrant is to the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Ours,
    Peer,
    Floor,
}

struct Entrant<'a> {
    name: String,
    role: Role,
    measure: Box<dyn FnMut() -> Measured + 'a>,
    figures: Vec<f64>,
}

/// Against what an axis is judged.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The best correct peer by median, and the factor to reach.
    BestPeer(f64),
    /// A named peer, and the factor to reach.
    Peer(&'static str, f64),
    /// A bound on our own figure, and what it is a bound of.
    Bound(&'static str, f64),
}

/// One axis: what is measured, who takes part, and what ours must reach.
pub struct Contest<'a> {
    krate: &'static str,
    axis: String,
    unit: &'static str,
    better: Better,
    goal: Goal,
    entrants: Vec<Entrant<'a>>,
    disqualified: BTreeMap<String, String>,
}

impl<'a> Contest<'a> {
    pub fn new(
        krate: &'static str,
        axis: &str,
        unit: &'static str,
        better: Better,
        goal: Goal,
    ) -> Self {
        Self {
            krate,
            axis: axis.to_owned(),
            unit,
            better,
            goal,
            entrants: Vec::new(),
            disqualified: BTreeMap::new(),
        }
    }

    pub fn ours(self, measure: impl FnMut() -> Measured + 'a) -> Self {
        self.entrant("ours", Role::Ours, measure)
    }

    pub fn peer(self, name: &str, measure: impl FnMut() -> Measured + 'a) -> Self {
        self.entrant(name, Role::Peer, measure)
    }

    /// Work without the feature: shown, never compared with.
    pub fn floor(self, name: &str, measure: impl FnMut() -> Measured + 'a) -> Self {
        self.entrant(name, Role::Floor, measure)
    }

    /// A peer that cannot take part, and why.
    pub fn unable(mut self, name: &str, reason: &str) -> Self {
        self.disqualified.insert(name.to_owned(), reason.to_owned());
        self
    }

    fn entrant(mut self, name: &str, role: Role, measure: impl FnMut() -> Measured + 'a) -> Self {
        self.entrants.push(Entrant {
            name: name.to_owned(),
            role,
            measure: Box::new(measure),
            figures: Vec::new(),
        });
        self
    }

    /// Runs one round that is forgotten, then the rounds that count.
    ///
    /// # Errors
    ///
    /// When ours gives a wrong answer or fails, or when nothing is left to compare it with.
    pub fn run(mut self, effort: Effort, rounds: usize) -> Result<Record, String> {
        let rounds = effort.rounds.unwrap_or(rounds).max(1);
        let mut order = Shuffle::new(&self.axis);
        for round in 0..=rounds {
            order.shuffle(&mut self.entrants);
            let mut at = 0;
            while at < self.entrants.len() {
                let entrant = &mut self.entrants[at];
                match (entrant.measure)() {
                    Ok(figure) if round > 0 => entrant.figures.push(figure),
                    Ok(_) => {}
                    Err(reason) if entrant.role == Role::Ours => {
                        return Err(format!("{} {}: ours: {reason}", self.krate, self.axis));
                    }
                    Err(reason) => {
                        let entrant = self.entrants.remove(at);
                        self.disqualified.insert(entrant.name, reason);
                        continue;
                    }
                }
                at += 1;
            }
        }
        self.judge(effort, rounds)
    }

    fn judge(self, effort: Effort, rounds: usize) -> Result<Record, String> {
        let fail = |reason: &str| format!("{} {}: {reason}", self.krate, self.axis);
        let of = |role| self.entrants.iter().filter(move |it| it.role == role);
        let medians = |role| -> BTreeMap<String, f64> {
            of(role)
                .map(|it| (it.name.clone(), rounded(median(&it.figures))))
                .collect()
        };
        let ours = of(Role::Ours)
            .next()
            .ok_or_else(|| fail("ours is missing"))?;

        let (vs, ratios, goal, bound) = match self.goal {
            Goal::Bound(of_what, bound) => {
                let ratios = ours
                    .figures
                    .iter()
                    .map(|figure| ratio(self.better, *figure, bound))
                    .collect();
                (of_what.to_owned(), ratios, 1.0, Some(bound))
            }
            Goal::BestPeer(goal) => {
                let best = of(Role::Peer)
                    .min_by(|a, b| self.rank(a).total_cmp(&self.rank(b)))
                    .ok_or_else(|| fail("no correct peer is left"))?;
                (best.name.clone(), self.by_round(ours, best), goal, None)
            }
            Goal::Peer(name, goal) => {
                let named = of(Role::Peer)
                    .find(|it| it.name == name)
                    .ok_or_else(|| fail("the baseline is disqualified"))?;
                (named.name.clone(), self.by_round(ours, named), goal, None)
            }
        };
        Ok(Record {
            krate: self.krate.to_owned(),
            axis: self.axis.clone(),
            unit: self.unit.to_owned(),
            better: self.better,
            ours: rounded(median(&ours.figures)),
            peers: medians(Role::Peer),
            floors: medians(Role::Floor),
            disqualified: self.disqualified.clone(),
            vs,
            ratio: rounded(median(&ratios)),
            goal,
            bound,
            rounds,
            spread: rounded(spread(&ratios)),
            quick: effort.quick,
            cells: BTreeMap::new(),
        })
    }

    fn by_round(&self, ours: &Entrant<'_>, other: &Entrant<'_>) -> Vec<f64> {
        ours.figures
            .iter()
            .zip(&other.figures)
            .map(|(ours, other)| ratio(self.better, *ours, *other))
            .collect()
    }

    /// The smaller, the better.
    fn rank(&self, entrant: &Entrant<'_>) -> f64 {
        let median = median(&entrant.figures);
        match self.better {
            Better::Lower => median,
            Better::Higher => -median,
        }
    }
}

/// A shuffle that is the same in every run of the same axis.
struct Shuffle(u64);

impl Shuffle {
    fn new(axis: &str) -> Self {
        Self(axis.bytes().fold(0x9e37_79b9_7f4a_7c15, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, random(&mut self.0) as usize % (last + 1));
        }
    }
}

/// The next number of a splitmix64 sequence.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const EFFORT: Effort = Effort {
        rounds: None,
        quick: true,
    };

    fn contest<'a>(better: Better, goal: Goal) -> Contest<'a> {
        Contest::new("sample", "axis", "ns", better, goal)
    }

    #[test]
    fn every_round_measures_everyone_once() {
        let calls = RefCell::new(Vec::new());
        let entrant = |name: &'static str, figure| {
            let calls = &calls;
            move || {
                calls.borrow_mut().push(name);
                Ok(figure)
            }
        };
        contest(Better::Lower, Goal::BestPeer(1.0))
            .ours(entrant("ours", 1.0))
            .peer("a", entrant("a", 2.0))
            .floor("b", entrant("b", 0.5))
            .run(EFFORT, 4)
            .expect("all are correct");
        let calls = calls.into_inner();
        assert_eq!(calls.len(), 15);
        for round in calls.chunks(3) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, ["a", "b", "ours"]);
        }
    }

    #[test]
    fn ratios_are_taken_inside_the_round() {
        // The machine halves its speed each round; the factor between the two stays.
        let (mut a, mut b) = (1.0, 3.0);
        let record = contest(Better::Lower, Goal::BestPeer(2.0))
            .ours(|| {
                a *= 2.0;
                Ok(a)
            })
            .peer("slow", || {
                b *= 2.0;
                Ok(b)
            })
            .run(EFFORT, 5)
            .expect("both are correct");
        assert_eq!((record.ratio, record.spread), (3.0, 0.0));
        assert_eq!((record.vs.as_str(), record.rounds), ("slow", 5));
    }

    #[test]
    fn the_best_peer_is_the_baseline_and_a_floor_never_is() {
        let record = contest(Better::Higher, Goal::BestPeer(1.0))
            .ours(|| Ok(10.0))
            .peer("good", || Ok(8.0))
            .peer("bad", || Ok(2.0))
            .floor("nothing", || Ok(100.0))
            .run(EFFORT, 3)
            .expect("all are correct");
        assert_eq!((record.vs.as_str(), record.ratio), ("good", 1.25));
        assert_eq!(record.floors["nothing"], 100.0);
    }

    #[test]
    fn a_peer_that_breaks_the_rule_is_disqualified_with_the_reason() {
        let record = contest(Better::Lower, Goal::BestPeer(1.0))
            .ours(|| Ok(2.0))
            .peer("wrong", || Err("3 results are missing".to_owned()))
            .peer("right", || Ok(4.0))
            .run(EFFORT, 3)
            .expect("ours is correct");
        assert_eq!(record.vs, "right");
        assert_eq!(record.disqualified["wrong"], "3 results are missing");
        assert!(!record.peers.contains_key("wrong"));
    }

    #[test]
    fn a_wrong_answer_of_ours_ends_the_run() {
        let outcome = contest(Better::Lower, Goal::BestPeer(1.0))
            .ours(|| Err("wrong sum".to_owned()))
            .peer("right", || Ok(4.0))
            .run(EFFORT, 3);
        assert!(outcome.is_err_and(|reason| reason.contains("wrong sum")));
    }

    #[test]
    fn a_bound_is_judged_on_our_own_figure() {
        let record = contest(Better::Lower, Goal::Bound("bytes allowed", 16.0))
            .ours(|| Ok(8.0))
            .run(EFFORT, 3)
            .expect("no peer is needed");
        assert_eq!((record.ratio, record.goal), (2.0, 1.0));
        assert_eq!(record.bound, Some(16.0));
    }
}
