//! The search in ask-and-tell form: [`Evolution::propose`] gives a start, by default a parent,
//! [`Proposal::draw`] its offspring, and [`Evolution::tell`] lets a scored one join. What a proposal
//! starts from is the search strategy's business.
//!
//! It is deterministic: a proposal's random numbers are a function of the run's seed and the
//! proposal's number alone. It knows no thread, no clock and no file.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use autoloss_expr::{Branch, Loss};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::equivalence::Key;
use crate::event::{Candidate, Origin};
use crate::mutation::mutate;
use crate::population::Member;
use crate::random::Space;
use crate::screening::Signature;
use crate::seed::{Stream, generator};
use crate::settings::{RestartBranches, SearchSettings};
use crate::strategy::{Sampler, Start};

/// The order for one offspring.
pub struct Proposal {
    /// Its number, from 0.
    pub number: u64,
    /// What it begins with.
    start: Start,
    rng: ChaCha8Rng,
    /// The branches of the fresh random loss that passed so far.
    draft: Vec<Branch>,
    /// Whether the next draw is a plain copy of the parent.
    copy: bool,
    /// Whether all offspring are to be fresh random losses, or none, until one passes; `None` where
    /// that is drawn for each.
    restart: Option<bool>,
}

/// A candidate before it is screened.
pub struct Offspring {
    /// The loss.
    pub loss: Loss,
    /// How it was drawn.
    pub origin: Origin,
    /// Its parent's number; `None` for a loss whose branches are all random.
    pub parent: Option<u64>,
}

impl Proposal {
    /// The next offspring: the copy that the proposal may begin with, else a restart or a mutation; a
    /// fresh random loss where there is no parent. Drawn again, from the same generator, until one
    /// passes.
    pub fn draw(&mut self, space: &Space, settings: &SearchSettings) -> Offspring {
        let rng = &mut self.rng;
        let parent = match &self.start {
            Start::Random => None,
            Start::Parent(parent) => Some(parent),
            Start::Loss(loss) => {
                return Offspring {
                    loss: loss.clone(),
                    origin: Origin::Policy,
                    parent: None,
                };
            }
        };
        if let Some(parent) = parent {
            if std::mem::take(&mut self.copy) {
                return Offspring {
                    loss: parent.loss.clone(),
                    origin: Origin::Copy,
                    parent: Some(parent.id),
                };
            }
            let restart = self
                .restart
                .unwrap_or_else(|| rng.random_bool(settings.restart));
            if !restart && let Some((loss, mutation)) = mutate(&parent.loss, space, rng) {
                return Offspring {
                    loss,
                    origin: Origin::Mutation(mutation),
                    parent: Some(parent.id),
                };
            }
        }
        let keeps_others =
            settings.restart_branches == RestartBranches::One && space.free().count() > 1;
        let (loss, parent) = match parent.filter(|_| keeps_others) {
            Some(parent) => (
                space.with_a_random_branch(&parent.loss, rng),
                Some(parent.id),
            ),
            None => (space.random_loss_after(&self.draft, rng), None),
        };
        Offspring {
            loss,
            origin: Origin::Random,
            parent,
        }
    }

    /// Whether a plain copy of its parent is drawn next. The copy has its parent's score: there is
    /// nothing to choose from.
    #[must_use]
    pub const fn is_copy(&self) -> bool {
        self.copy
    }

    /// Whether its loss is evaluated as it is, without screening.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.start, Start::Loss(_))
    }

    /// Keeps the branches of a rejected fresh random loss that passed: of the next one only the
    /// others are drawn. Chance alone would hardly ever make all branches of one draw pass. (ours)
    pub fn keep(&mut self, offspring: Offspring, passed: usize) {
        if offspring.origin == Origin::Random && offspring.parent.is_none() {
            self.draft = offspring.loss.branches;
            self.draft.truncate(passed);
        }
    }
}

/// A candidate that passed screening.
pub struct Found {
    /// The candidate.
    pub candidate: Candidate,
    /// Its loss.
    pub loss: Loss,
    /// For predictions from its score, where any are made.
    pub(crate) signature: Option<Arc<Signature>>,
}

impl Found {
    pub(crate) const fn new(candidate: Candidate, loss: Loss) -> Self {
        Self {
            candidate,
            loss,
            signature: None,
        }
    }
}

/// What is known of candidates with the same gradient norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// There is none.
    New,
    /// That candidate has that score.
    Scored(u64, f64),
    /// That candidate is in training.
    InTraining(u64),
}

/// The state of a search.
pub struct Evolution {
    settings: SearchSettings,
    sampler: Box<dyn Sampler>,
    scored: HashMap<Key, (u64, f64)>,
    /// Candidates in training, each with those that wait for its score.
    training: HashMap<Key, (u64, Vec<Found>)>,
    /// Proposals to make again before new ones.
    again: VecDeque<u64>,
    next_proposal: u64,
    next_id: u64,
    joined: u64,
}

impl Evolution {
    /// A search that has not begun.
    pub(crate) fn new(settings: &SearchSettings, sampler: Box<dyn Sampler>) -> Self {
        Self {
            settings: settings.clone(),
            sampler,
            scored: HashMap::new(),
            training: HashMap::new(),
            again: VecDeque::new(),
            next_proposal: 0,
            next_id: 1,
            joined: 0,
        }
    }

    /// Takes up the counters of an interrupted search; `again` are its proposals without outcome.
    pub fn take_up(&mut self, again: VecDeque<u64>, next_proposal: u64, next_id: u64, joined: u64) {
        self.again = again;
        self.next_proposal = next_proposal;
        self.next_id = next_id;
        self.joined = joined;
    }

    /// The next proposal. Whether it makes a copy is drawn here and not for each draw: a copy always
    /// passes and little else does, so most members would be copies. (ours)
    pub fn propose(&mut self) -> Proposal {
        let number = self.again.pop_front().unwrap_or_else(|| {
            self.next_proposal += 1;
            self.next_proposal - 1
        });
        let mut rng = generator(self.settings.seed, Stream::Proposal, number);
        let start = self.sampler.start(number, &mut rng);
        let has_parent = matches!(start, Start::Parent(_));
        Proposal {
            number,
            copy: has_parent && rng.random_bool(self.settings.copy),
            start,
            rng,
            draft: Vec::new(),
            restart: None,
        }
    }

    /// Lets a proposal begin once more, for a further candidate, with a parent of its own. What kind
    /// it is to be is drawn here and not for each offspring: mutations of a good parent pass so much
    /// more often than fresh random losses that hardly any of those would be among several. (ours)
    pub(crate) fn propose_further(&mut self, proposal: &mut Proposal) {
        proposal.start = self.sampler.start(proposal.number, &mut proposal.rng);
        proposal.draft.clear();
        proposal.restart = Some(proposal.rng.random_bool(self.settings.restart));
    }

    /// The next candidate's number.
    pub fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// What is known of candidates equivalent to one with these norms.
    #[must_use]
    pub fn known(&self, norms: &[f64]) -> Known {
        let Some(key) = self.key(norms) else {
            return Known::New;
        };
        if let Some(&(id, score)) = self.scored.get(&key) {
            return Known::Scored(id, score);
        }
        self.training
            .get(&key)
            .map_or(Known::New, |(id, _)| Known::InTraining(*id))
    }

    /// A candidate's training begins.
    pub fn begin(&mut self, id: u64, norms: &[f64]) {
        if let Some(key) = self.key(norms) {
            self.training.insert(key, (id, Vec::new()));
        }
    }

    /// Lets a candidate wait for the equivalent one in training.
    pub fn park(&mut self, waiting: Found) {
        if let Some(key) = self.key(&waiting.candidate.norms)
            && let Some((_, parked)) = self.training.get_mut(&key)
        {
            parked.push(waiting);
        }
    }

    /// A training ended without a score: the candidates that waited for it are returned.
    pub fn abandon(&mut self, norms: &[f64]) -> Vec<Found> {
        let key = self.key(norms);
        let training = key.and_then(|key| self.training.remove(&key));
        training.map_or_else(Vec::new, |(_, waiting)| waiting)
    }

    /// A candidate has a score and joins: its position in joining order, from 0, and the candidates
    /// that waited for its score.
    pub fn tell(&mut self, member: Member, norms: &[f64]) -> (u64, Vec<Found>) {
        let parked = self.abandon(norms);
        self.know(member.id, member.score, norms);
        (self.join(member), parked)
    }

    /// Lets a member join that has another one's score.
    pub fn join(&mut self, member: Member) -> u64 {
        self.sampler.join(member);
        self.joined += 1;
        self.joined - 1
    }

    /// Enters a score of an earlier part of the run.
    pub fn know(&mut self, id: u64, score: f64, norms: &[f64]) {
        if let Some(key) = self.key(norms) {
            self.scored.entry(key).or_insert((id, score));
        }
    }

    fn key(&self, norms: &[f64]) -> Option<Key> {
        if self.settings.equivalence {
            Key::new(norms)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::tests::space;
    use crate::settings::Strategy;
    use crate::strategy::AgeingEvolution;

    fn evolution() -> Evolution {
        let settings = SearchSettings {
            initial: 1,
            ..SearchSettings::default()
        };
        let sampler = Box::new(AgeingEvolution::new(&settings));
        let mut evolution = Evolution::new(&settings, sampler);
        assert_eq!(evolution.propose().start, Start::Random);
        evolution
    }

    fn member(id: u64) -> Member {
        Member {
            id,
            loss: space(2, 1).random_loss(&mut generator(id, Stream::Screening, 0)),
            score: 0.5,
        }
    }

    fn waiting(id: u64, norms: &[f64]) -> Found {
        Found::new(
            Candidate {
                id,
                proposal: 0,
                draw: 1,
                parent: None,
                origin: Origin::Random,
                formula: String::new(),
                canonical: String::new(),
                g: None,
                norms: norms.to_vec(),
                seconds: 0.0,
                worker: 0,
            },
            member(id).loss,
        )
    }

    #[test]
    fn equivalents_of_a_training_wait_for_its_score() {
        let mut evolution = evolution();
        let norms = [1.0, 2.0];
        assert_eq!(evolution.known(&norms), Known::New);
        evolution.begin(1, &norms);
        assert_eq!(evolution.known(&[1.001, 2.0]), Known::InTraining(1));
        evolution.park(waiting(2, &norms));
        let (joined, parked) = evolution.tell(member(1), &norms);
        assert_eq!((joined, parked.len(), parked[0].candidate.id), (0, 1, 2));
        assert_eq!(evolution.known(&norms), Known::Scored(1, 0.5));
        assert_eq!(evolution.known(&[1.1, 2.0]), Known::New);
    }

    #[test]
    fn a_training_without_a_score_leaves_nothing_but_those_that_waited() {
        let mut evolution = evolution();
        evolution.begin(1, &[1.0]);
        evolution.park(waiting(2, &[1.0]));
        let waited = evolution.abandon(&[1.0]);
        assert_eq!(waited[0].candidate.id, 2);
        assert_eq!(evolution.known(&[1.0]), Known::New);
        assert!(evolution.abandon(&[1.0]).is_empty());
    }

    #[test]
    fn offspring_come_in_the_papers_proportions() {
        let mut evolution = evolution();
        evolution.join(member(1));
        let (space, settings) = (space(3, 1), SearchSettings::default());
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let offspring = evolution.propose().draw(&space, &settings);
            assert_eq!(
                offspring.parent.is_none(),
                offspring.origin == Origin::Random
            );
            *counts.entry(offspring.origin.name()).or_insert(0) += 1;
        }
        // 10 %, then half of the rest, then three mutations alike.
        for (name, expected) in [
            ("copy", 600),
            ("random", 2700),
            ("insertion", 900),
            ("deletion", 900),
            ("replacement", 900),
        ] {
            let count: i32 = counts[name];
            assert!((count - expected).abs() < 150, "{name}: {count}");
        }
    }

    /// Count of each kind of offspring that is drawn first by 2000 proposals, among candidates to choose from
    /// or not.
    fn origins(strategy: Strategy, choices: usize, (copy, restart): (f64, f64)) -> [f64; 3] {
        let settings = SearchSettings {
            strategy,
            choices,
            copy,
            restart,
            initial: 1,
            ..SearchSettings::default()
        };
        let sampler = crate::strategy::sampler(&settings, &crate::toy::Toy::new()).unwrap();
        let mut evolution = Evolution::new(&settings, sampler);
        evolution.propose();
        evolution.join(member(1));
        let space = space(3, 1);
        let mut counts = [0.0; 3];
        for _ in 0..2000 {
            let mut proposal = evolution.propose();
            if choices > 1 && !proposal.is_copy() {
                evolution.propose_further(&mut proposal);
            }
            counts[match proposal.draw(&space, &settings).origin {
                Origin::Copy => 0,
                Origin::Random => 1,
                _ => 2,
            }] += 1.0 / 2000.0;
            assert!(
                !proposal.is_copy(),
                "a copy that is rejected is not drawn again"
            );
        }
        counts
    }

    #[test]
    fn each_setting_does_what_it_says_in_every_combination() {
        let shares = [0.0, 0.1, 0.5, 1.0];
        let settings = shares.iter().flat_map(|c| shares.map(|r| (*c, r)));
        for ((copy, restart), choices) in settings.flat_map(|s| [(s, 1), (s, 100)]) {
            for strategy in [Strategy::Evolution, Strategy::Cse, Strategy::Random] {
                let counts = origins(strategy, choices, (copy, restart));
                let new = 1.0 - copy;
                let expected = match strategy {
                    Strategy::Random => [0.0, 1.0, 0.0],
                    _ => [copy, new * restart, new * (1.0 - restart)],
                };
                for (count, share) in counts.iter().zip(expected) {
                    // Five standard deviations.
                    let chance = 5.0 * (share * (1.0 - share) / 2000.0).sqrt() + 1e-9;
                    assert!(
                        (count - share).abs() <= chance,
                        "{strategy:?} {choices} {copy} {restart}: {counts:?}, not {expected:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn branches_that_passed_are_kept_until_all_pass() {
        let mut proposal = evolution().propose();
        let (space, settings) = (space(3, 3), SearchSettings::default());
        let first = proposal.draw(&space, &settings);
        let loss = first.loss.clone();
        proposal.keep(first, 2);
        let second = proposal.draw(&space, &settings);
        assert_eq!(second.loss.branches[..2], loss.branches[..2]);
        assert_ne!(second.loss.branches[2], loss.branches[2]);
        proposal.keep(second, 0);
        assert_ne!(
            proposal.draw(&space, &settings).loss.branches[0],
            loss.branches[0]
        );
    }

    #[test]
    fn a_restart_makes_one_branch_anew_or_all() {
        for (restart_branches, expected) in [(RestartBranches::One, 1), (RestartBranches::All, 3)] {
            let settings = SearchSettings {
                restart: 1.0,
                copy: 0.0,
                restart_branches,
                ..SearchSettings::default()
            };
            let space = space(3, 3);
            let mut evolution = Evolution {
                settings: settings.clone(),
                ..evolution()
            };
            let loss = space.random_loss(&mut generator(1, Stream::Screening, 0));
            let parent = Member {
                loss: loss.clone(),
                ..member(1)
            };
            evolution.join(parent);
            for _ in 0..50 {
                let offspring = evolution.propose().draw(&space, &settings);
                let pairs = offspring.loss.branches.iter().zip(&loss.branches);
                assert_eq!(pairs.filter(|(a, b)| a != b).count(), expected);
                assert_eq!(offspring.parent.is_some(), expected == 1);
            }
        }
    }

    #[test]
    fn a_proposal_made_again_draws_the_same() {
        let draw = |again| {
            let mut evolution = evolution();
            evolution.join(member(1));
            if again {
                evolution.take_up(VecDeque::from([1]), 9, 1, 1);
            }
            let mut proposal = evolution.propose();
            assert_eq!(proposal.number, 1);
            let mut draw = || proposal.draw(&space(3, 1), &SearchSettings::default()).loss;
            (draw(), draw())
        };
        assert_eq!(draw(false), draw(true));
    }
}
