//! Drawing and screening until a candidate passes: pure work that any thread can do beside the study.

use std::sync::Arc;
use std::time::Instant;

use tracing::Span;

use super::choose::{Prospects, Round, choose};
use super::contender::{Contender, Rejected};
use super::context::Context;
use super::proposal::{Offspring, Proposal};
use crate::event::{Candidate, Fate, Origin};
use crate::screening::{Judgement, Prescreened, Scratch, Screened, Verdict};
use crate::task::Interrupt;

/// Draws after which another parent is tried among candidates to choose from, as some have no offspring
/// that passes.
const RETRIES: u64 = 1000;

/// Draws after which a finder returns at the latest.
const DRAWS: u64 = 256;

/// Draws of a proposal that the study was not told of yet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Draws {
    pub(crate) drawn: u64,
    pub(crate) structural: u64,
    pub(crate) cached: u64,
}

/// The next part of a finder's work.
enum Work {
    /// Draws until a candidate passes.
    Draw,
    /// Computes the signature of a candidate that is new.
    Sign(Box<Contender>, Option<Prospects>),
    /// Chooses one of the round.
    Choose(Prospects),
}

/// The search for one proposal's candidate. [`Finder::run`] does its next part; the study then says how it
/// goes on.
pub struct Finder {
    pub(crate) proposal: Proposal,
    /// Number of the worker that it works for.
    pub(crate) worker: usize,
    /// Whether the candidate to train is chosen among several. The first ones are not: predictions need
    /// scores of ordinary losses, and know only that the odd ones are unlike them.
    pub(crate) chooses: bool,
    /// Draws so far.
    draw: u64,
    pub(crate) untold: Draws,
    pub(crate) round: Round,
    /// Whether all draws were made.
    pub(crate) exhausted: bool,
    work: Work,
}

/// Reason for which a finder returned.
pub(crate) enum Step {
    /// Many draws were made.
    Counted,
    /// No offspring of this parent passes.
    Fruitless,
    /// A candidate passed, or is likely to.
    Found(Box<Contender>),
    /// A candidate that is new has its signature.
    Signed(Box<Contender>),
    /// A candidate of the round was chosen, or none passed.
    Chosen(Option<Box<Contender>>),
    /// All draws were made.
    Exhausted,
    /// The search is over.
    Stopped,
}

/// Result of a part of a finder's work, for [`Study::admit`](super::Study::admit).
pub struct Finding {
    pub(crate) finder: Finder,
    /// Candidates that did not pass, in their order.
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) step: Step,
}

impl Finding {
    /// Number of the worker that the finder worked for.
    #[must_use]
    pub const fn worker(&self) -> usize {
        self.finder.worker
    }
}

impl Finder {
    pub(crate) fn new(proposal: Proposal, worker: usize, chooses: bool) -> Self {
        Self {
            proposal,
            worker,
            chooses,
            draw: 0,
            untold: Draws::default(),
            round: Round::default(),
            exhausted: false,
            work: Work::Draw,
        }
    }

    /// The signature of a candidate comes next, after the prediction that the local search goes by, where scores
    /// for one are given.
    pub(crate) fn sign(mut self, contender: Box<Contender>, prospects: Option<Prospects>) -> Self {
        self.work = Work::Sign(contender, prospects);
        self
    }

    /// The choice comes next.
    pub(crate) fn choose(mut self, prospects: Prospects) -> Self {
        self.work = Work::Choose(prospects);
        self
    }

    /// The span of the next part of the work.
    pub(crate) fn span(&self) -> Span {
        let part = match &self.work {
            Work::Draw => "draw",
            Work::Sign(..) => "sign",
            Work::Choose(_) => "choose",
        };
        tracing::debug_span!(
            "finding",
            part,
            proposal = self.proposal.number,
            worker = self.worker
        )
    }

    /// Does the next part of the work, which the study is to be told. A set interrupt ends it early.
    #[must_use]
    pub fn run(
        mut self,
        context: &Context,
        scratch: &mut Scratch,
        interrupt: &Interrupt,
    ) -> Finding {
        let mut rejected = Vec::new();
        let step = match std::mem::replace(&mut self.work, Work::Draw) {
            Work::Draw => self.draw_until_found(context, scratch, interrupt, &mut rejected),
            Work::Sign(mut contender, prospects) => {
                if let Some(prospects) = prospects {
                    self.round.predict(&prospects);
                }
                let signature = context.screening.signature(&contender.loss, scratch);
                contender.promise = self.round.promise(&signature);
                contender.signature = Some(Arc::new(signature));
                Step::Signed(contender)
            }
            Work::Choose(prospects) => {
                let place = (context, scratch);
                let round = &mut self.round;
                match choose(round, prospects, place, interrupt, &mut rejected) {
                    None if interrupt.is_set() => Step::Stopped,
                    chosen => Step::Chosen(chosen.map(Box::new)),
                }
            }
        };
        Finding {
            finder: self,
            rejected,
            step,
        }
    }

    fn draw_until_found(
        &mut self,
        context: &Context,
        scratch: &mut Scratch,
        interrupt: &Interrupt,
        rejected: &mut Vec<Rejected>,
    ) -> Step {
        loop {
            if self.draw >= context.search.max_draws {
                return Step::Exhausted;
            }
            if self.untold.drawn >= DRAWS {
                return Step::Counted;
            }
            if interrupt.is_set() {
                return Step::Stopped;
            }
            self.draw += 1;
            match self.draw_one(context, scratch, rejected) {
                Some(contender) => return Step::Found(Box::new(contender)),
                None if self.chooses && self.draw.is_multiple_of(RETRIES) => {
                    return Step::Fruitless;
                }
                None => {}
            }
        }
    }

    /// Draws a candidate and screens it: the candidate if it passes, or is likely to.
    fn draw_one(
        &mut self,
        context: &Context,
        scratch: &mut Scratch,
        rejected: &mut Vec<Rejected>,
    ) -> Option<Contender> {
        let start = Instant::now();
        let mut offspring = self.proposal.draw(&context.space, &context.search);
        if self.proposal.is_settled() {
            // The loss that a strategy or the user gave is evaluated as it is.
            self.untold.drawn += 1;
            let verdict = Verdict::unasked(offspring.loss.to_string());
            let candidate = self.candidate(&offspring, &verdict, start);
            return Some(Contender::new(candidate, offspring.loss));
        }
        offspring.loss = context.loss_of(offspring.loss);
        let (result, passed) = self.screen(&offspring, context, scratch);
        let (verdict, open) = match result {
            Some(Prescreened::Screened(Screened::Judged(verdict))) => (verdict, None),
            Some(Prescreened::Open(open)) => (Arc::new(open.unjudged()), Some(open)),
            result => {
                if offspring.origin == Origin::Given {
                    rejected.push(self.hopeless(&offspring, result.as_ref(), start));
                }
                self.proposal.keep(offspring, passed);
                return None;
            }
        };
        let mut candidate = self.candidate(&offspring, &verdict, start);
        if verdict.judgement != Judgement::Passed {
            rejected.push(Rejected::judged(candidate, &verdict));
            self.proposal.keep(offspring, passed);
            return None;
        }
        candidate.formula = context.formula(&offspring.loss, scratch);
        let signs = context.predicts() && !self.chooses;
        let signature = signs.then(|| context.screening.signature(&offspring.loss, scratch));
        Some(Contender {
            signature: signature.map(Arc::new),
            open,
            ..Contender::new(candidate, offspring.loss)
        })
    }

    /// Screens an offspring: `None` where it is hopeless or known as rejected; and the number of its branches that
    /// passed. One that is to be chosen from is not screened to the end.
    fn screen(
        &mut self,
        offspring: &Offspring,
        context: &Context,
        scratch: &mut Scratch,
    ) -> (Option<Prescreened>, usize) {
        self.untold.drawn += 1;
        let (result, passed) = if self.chooses {
            context.screening.prescreen(&offspring.loss, scratch)
        } else {
            let (screened, passed) = context.screening.screen(&offspring.loss, scratch);
            (Prescreened::Screened(screened), passed)
        };
        match result {
            Prescreened::Screened(Screened::Structural) => self.untold.structural += 1,
            Prescreened::Screened(Screened::Known) => self.untold.cached += 1,
            other => return (Some(other), passed),
        }
        (None, passed)
    }

    /// The rejection of a given loss that was not screened, which alone is told to the user.
    fn hopeless(
        &self,
        offspring: &Offspring,
        result: Option<&Prescreened>,
        start: Instant,
    ) -> Rejected {
        let reason = match result {
            Some(_) => "its screening was broken off",
            None => "it computes what a rejected loss computes, or uses no prediction or no target",
        };
        let verdict = Verdict::unasked(offspring.loss.to_string());
        let candidate = self.candidate(offspring, &verdict, start);
        Rejected::new(candidate, Fate::Rejected, reason.to_owned())
    }

    /// The candidate of the last draw.
    fn candidate(&self, offspring: &Offspring, verdict: &Verdict, start: Instant) -> Candidate {
        Candidate {
            id: 0,
            proposal: self.proposal.number,
            draw: self.draw,
            parent: offspring.parent,
            origin: offspring.origin,
            formula: offspring.loss.to_string(),
            canonical: verdict.canonical.clone(),
            g: verdict.g,
            norms: verdict.norms.clone(),
            seconds: start.elapsed().as_secs_f64(),
            worker: self.worker,
        }
    }
}
