//! A proposal: the order for one offspring, drawn again until one passes screening.
//!
//! Its random numbers are a function of the run's seed and its number alone.

use autoloss_expr::{Branch, Loss};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::choose::Round;
use crate::crossover::cross;
use crate::event::Origin;
use crate::mutation::{Mutation, mutate, scaled};
use crate::population::Member;
use crate::random::Space;
use crate::seed::{Stream, generator};
use crate::settings::{RestartBranches, SearchSettings};
use crate::strategy::{Sampler, Start};

/// The order for one offspring.
pub(crate) struct Proposal {
    /// Its number, from 0.
    pub(crate) number: u64,
    /// The parent or loss that it begins with.
    start: Start,
    rng: ChaCha8Rng,
    /// The branches of the fresh random loss that passed so far.
    draft: Vec<Branch>,
    /// Whether the next draw is a plain copy of the parent.
    copy: bool,
    /// Whether all offspring are to be fresh random losses, or none, until one passes; `None` where
    /// that is drawn for each.
    restart: Option<bool>,
    /// The losses whose constants alone are to change; none: offspring are of all kinds.
    tuned: Vec<Member>,
}

/// A candidate before it is screened.
pub(crate) struct Offspring {
    /// The loss.
    pub(crate) loss: Loss,
    /// Kind of its draw.
    pub(crate) origin: Origin,
    /// Its parent's number; `None` for a loss whose branches are all random.
    pub(crate) parent: Option<u64>,
}

impl Proposal {
    /// Proposal `number`. Whether it makes a copy is drawn here and not for each draw: a copy always passes
    /// and little else does, so most members would be copies. (ours)
    pub(crate) fn new(number: u64, sampler: &mut dyn Sampler, settings: &SearchSettings) -> Self {
        let mut rng = generator(settings.seed, Stream::Proposal, number);
        let start = sampler.start(number, &mut rng);
        let has_parent = matches!(start, Start::Parent { .. });
        Self {
            number,
            copy: has_parent && rng.random_bool(settings.copy),
            start,
            rng,
            draft: Vec::new(),
            restart: None,
            tuned: Vec::new(),
        }
    }

    /// Proposal `number` for one of some losses with another constant.
    pub(crate) fn tuning(number: u64, tuned: Vec<Member>, settings: &SearchSettings) -> Self {
        Self {
            number,
            start: Start::Random,
            rng: generator(settings.seed, Stream::Proposal, number),
            draft: Vec::new(),
            copy: false,
            restart: None,
            tuned,
        }
    }

    /// Begins once more, for a further candidate, with a parent of its own: one of the candidates found, where it is
    /// the turn of the local search, else a trained loss or none. Its kind is drawn here and not
    /// for each offspring: mutations of a good parent pass so much more often than fresh random losses that
    /// hardly any of those would be among several. (ours)
    pub(crate) fn begin_again(
        &mut self,
        round: &Round,
        sampler: &mut dyn Sampler,
        settings: &SearchSettings,
    ) {
        if !self.tuned.is_empty() {
            return;
        }
        self.draft.clear();
        if let Some(found) = round.parent(settings, &mut self.rng) {
            self.start = Start::Found {
                loss: found.loss.clone(),
                ancestor: found.candidate.parent,
            };
            return;
        }
        self.start = sampler.start(self.number, &mut self.rng);
        self.restart = Some(self.rng.random_bool(settings.restart));
    }

    /// The next offspring: the copy that the proposal may begin with, else a restart, a crossover or a
    /// mutation; a fresh random loss where there is no parent. Drawn again, from the same generator, until
    /// one passes.
    pub(crate) fn draw(&mut self, space: &Space, settings: &SearchSettings) -> Offspring {
        if let Start::Given(loss) = &self.start {
            let offspring = Offspring {
                loss: loss.clone(),
                origin: Origin::Given,
                parent: None,
            };
            self.start = Start::Random;
            return offspring;
        }
        let rng = &mut self.rng;
        if let Start::Found { loss, ancestor } = &self.start
            && let Some((loss, mutation)) = mutate(loss, space, rng)
        {
            return Offspring {
                loss,
                origin: Origin::Mutation(mutation),
                parent: *ancestor,
            };
        }
        if let Some(parent) = self.tuned.choose(rng) {
            return Offspring {
                loss: scaled(&parent.loss, space, rng),
                origin: Origin::Mutation(Mutation::Scaling),
                parent: Some(parent.id),
            };
        }
        let (parent, mate) = match &self.start {
            Start::Random | Start::Given(_) | Start::Found { .. } => (None, None),
            Start::Parent { parent, mate } => (Some(parent), mate.as_ref()),
            Start::Loss(loss, origin) => {
                return Offspring {
                    loss: loss.clone(),
                    origin: *origin,
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
            if !restart
                && let Some(mate) = mate
                && rng.random_bool(settings.crossover)
            {
                return Offspring {
                    loss: cross(&parent.loss, &mate.loss, space, rng),
                    origin: Origin::Crossover,
                    parent: Some(parent.id),
                };
            }
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
    pub(crate) const fn is_copy(&self) -> bool {
        self.copy
    }

    /// Whether a loss that the user gave is drawn next.
    pub(crate) const fn is_given(&self) -> bool {
        matches!(self.start, Start::Given(_))
    }

    /// Whether its loss is evaluated as it is, without screening.
    pub(crate) const fn is_settled(&self) -> bool {
        matches!(self.start, Start::Loss(..))
    }

    /// Keeps the branches of a rejected fresh random loss that passed: in the next one only the
    /// others are drawn. Chance alone would hardly ever make all branches of one draw pass. (ours)
    pub(crate) fn keep(&mut self, offspring: Offspring, passed: usize) {
        if offspring.origin == Origin::Random && offspring.parent.is_none() {
            self.draft = offspring.loss.branches;
            self.draft.truncate(passed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::tests::space;
    use crate::settings::Strategy;

    /// Proposals in their order.
    struct Proposer {
        settings: SearchSettings,
        sampler: Box<dyn Sampler>,
        next: u64,
    }

    impl Proposer {
        fn new(settings: SearchSettings) -> Self {
            let sampler = crate::strategy::sampler(&settings, &crate::toy::Toy::new()).unwrap();
            let mut proposer = Self {
                settings,
                sampler,
                next: 0,
            };
            // The first one has no parent.
            assert_eq!(proposer.propose().start, Start::Random);
            proposer
        }

        fn propose(&mut self) -> Proposal {
            self.next += 1;
            Proposal::new(self.next - 1, &mut *self.sampler, &self.settings)
        }
    }

    fn proposer() -> Proposer {
        Proposer::new(SearchSettings {
            initial: 1,
            ..SearchSettings::default()
        })
    }

    fn member(id: u64) -> Member {
        Member {
            id,
            trained: id,
            parent: None,
            loss: space(2, 1).random_loss(&mut generator(id, Stream::Screening, 0)),
            score: 0.5,
        }
    }

    #[test]
    fn offspring_come_in_the_papers_proportions() {
        let mut proposer = proposer();
        proposer.sampler.join(member(1));
        let (space, settings) = (space(3, 1), SearchSettings::default());
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let offspring = proposer.propose().draw(&space, &settings);
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
        let mut proposer = Proposer::new(settings.clone());
        proposer.sampler.join(member(1));
        let space = space(3, 1);
        let mut counts = [0.0; 3];
        for _ in 0..2000 {
            let mut proposal = proposer.propose();
            if choices > 1 && !proposal.is_copy() {
                proposal.begin_again(&Round::default(), &mut *proposer.sampler, &settings);
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
    fn crossovers_are_a_share_of_the_offspring_that_are_no_restarts() {
        let settings = SearchSettings {
            crossover: 0.25,
            initial: 1,
            copy: 0.0,
            restart: 0.2,
            ..SearchSettings::default()
        };
        let mut proposer = Proposer::new(settings.clone());
        proposer.sampler.join(member(1));
        proposer.sampler.join(member(2));
        let space = space(3, 1);
        let crossed = (0..2000).filter(|_| {
            let offspring = proposer.propose().draw(&space, &settings);
            offspring.origin == Origin::Crossover && offspring.parent.is_some()
        });
        let crossed = crossed.count();
        // A quarter of four fifths.
        assert!((320..480).contains(&crossed), "{crossed}");
    }

    #[test]
    fn tuning_changes_constants_alone() {
        let (space, settings) = (space(3, 1), SearchSettings::default());
        let leaders = vec![member(1), member(2)];
        let mut parents = std::collections::BTreeSet::new();
        for number in 0..50 {
            let mut proposal = Proposal::tuning(number, leaders.clone(), &settings);
            let offspring = proposal.draw(&space, &settings);
            assert_eq!(offspring.origin, Origin::Mutation(Mutation::Scaling));
            parents.insert(offspring.parent);
        }
        assert_eq!(parents.len(), 2);
    }

    #[test]
    fn branches_that_passed_are_kept_until_all_pass() {
        let mut proposal = proposer().propose();
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
                initial: 1,
                restart: 1.0,
                copy: 0.0,
                restart_branches,
                ..SearchSettings::default()
            };
            let space = space(3, 3);
            let mut proposer = Proposer::new(settings.clone());
            let loss = space.random_loss(&mut generator(1, Stream::Screening, 0));
            let parent = Member {
                loss: loss.clone(),
                ..member(1)
            };
            proposer.sampler.join(parent);
            for _ in 0..50 {
                let offspring = proposer.propose().draw(&space, &settings);
                let pairs = offspring.loss.branches.iter().zip(&loss.branches);
                assert_eq!(pairs.filter(|(a, b)| a != b).count(), expected);
                assert_eq!(offspring.parent.is_some(), expected == 1);
            }
        }
    }

    #[test]
    fn a_proposal_made_again_draws_the_same() {
        let draw = |others| {
            let mut proposer = proposer();
            proposer.sampler.join(member(1));
            for _ in 0..others {
                proposer.propose();
            }
            proposer.next = 1;
            let mut proposal = proposer.propose();
            let mut draw = || proposal.draw(&space(3, 1), &SearchSettings::default()).loss;
            (draw(), draw())
        };
        assert_eq!(draw(0), draw(8));
    }
}
