//! Search of loss functions: candidates, screening, trainings, and the run on disk.
//!
//! A [`Task`] is all the search knows of the world: branches with their inputs, stored predictions
//! to screen candidates with, and a proxy network to train and score. [`run()`] searches by ageing
//! evolution, rejects hopeless candidates by screening, lets equivalent ones take over scores, and
//! records every candidate's fate in a directory from which it can go on after an interruption.
//!
//! ```
//! use autoloss_search::toy::Toy;
//! use autoloss_search::{Interrupt, NewRun, Recorder, Settings, run};
//!
//! let task = Toy::new();
//! let settings = Settings::from_toml(
//!     "[search]\nevaluations = 6\nworkers = 1\n[screening]\nsteps = 60\nstep_size = 0.05",
//! )?;
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().join("run");
//! let about = NewRun::of(&task, &settings);
//! let mut recorder = Recorder::create(&dir, &about)?;
//! let report = run(&task, &mut recorder, &Interrupt::default(), &mut |event| {
//!     println!("{event}");
//! })?;
//! assert_eq!(report.tally.evaluations, 6);
//! let best = report.tally.best.expect("a search that made evaluations has a best one");
//! println!("{} scores {:.3}", best.formula, best.score);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A search can be driven from anywhere by ask and tell: a [`Study`](study::Study) gives trainings and
//! finders, and takes their results in any order.
//!
//! ```
//! use autoloss_search::study::{Context, Next, Plan, Study};
//! use autoloss_search::train;
//! # use autoloss_search::{Interrupt, Scratch, Settings, toy::Toy};
//! # let settings = Settings::from_toml(
//! #     "[search]\nevaluations = 6\n[screening]\nsteps = 60\nstep_size = 0.05",
//! # )?;
//! let task = Toy::new();
//! let context = Context::new(&task, &settings)?;
//! let mut study = Study::new(&task, &settings, Plan::new(&task, &settings.search, 1)?)?;
//! let (mut scratch, interrupt) = (Scratch::default(), Interrupt::default());
//! let (worker, elapsed) = (0, 0.0);
//! let end = loop {
//!     match study.propose(elapsed, worker) {
//!         Next::Find(finder) => study.admit(finder.run(&context, &mut scratch, &interrupt), elapsed)?,
//!         Next::Train(trial) => {
//!             let outcome = train(&task, &trial, &interrupt, &|_| ());
//!             study.tell(trial.id, outcome, elapsed)?;
//!         }
//!         Next::Wait => unreachable!("nothing is done elsewhere"),
//!         Next::Done(end) => break end,
//!     }
//!     for event in study.drain() {
//!         println!("{event}");
//!     }
//! };
//! assert_eq!((study.tally().evaluations, end), (6, autoloss_search::End::Evaluations));
//! # Ok::<(), autoloss_search::SearchError>(())
//! ```
//!
//! Everything random comes from the run's seed, see [`seed`]. With one worker, the same seed is the
//! same run; with several, which candidates are known when a proposal is made depends on how long
//! trainings take.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the program alone prints"
)]

mod adopt;
mod agreement;
mod branch;
mod comparison;
mod conclusion;
mod crossover;
mod driver;
mod equivalence;
mod error;
mod event;
mod executor;
pub mod fidelity;
mod finals;
mod hand_written;
mod learn;
mod mutation;
mod numbers;
mod population;
mod predictor;
mod random;
mod rate;
mod record;
pub mod resolve;
mod run;
mod screening;
pub mod seed;
mod settings;
mod store;
mod strategy;
pub mod study;
mod task;
#[cfg(test)]
mod tests;
pub mod toy;
mod trace;
mod worker;

pub use adopt::{SharedTraining, adopt};
pub use agreement::{BranchAgreement, JudgedTwice, compare_branches};
pub use branch::prediction_gradient;
pub use comparison::{Comparison, Entry, Paired, entries, mean_and_std, summarise};
pub use conclusion::{Against, Conclusion, Standing};
pub use equivalence::Key;
pub use error::SearchError;
pub use event::{
    Best, Candidate, End, Ended, Event, FailedTraining, Fate, FinalStage, Origin, Tally, Training,
};
pub use executor::{
    Ear, LastLines, News, PipedProcess, ProcessSettings, Processes, WORKER_VERSION, Worker,
    WorkerSettings, Workers, Workplace, hello, train, train_all,
};
pub use learn::{Earlier, PredictionQuality, prediction_quality, prediction_quality_of};
pub use mutation::{Mutation, mutate};
pub use population::{Member, Population};
pub use random::{MAX_NODES, Space};
pub use rate::{
    Agreement, Disagreement, Passed, Procedure, RandomScreening, ScreenReport, screen_random,
};
pub use resolve::{Named, ResolveError};
pub use run::{RunReport, Runner, run};
pub use screening::{
    Judgement, Prepared, Scratch, Screened, Screener, Screening, Stage, Stages, Verdict,
};
pub use seed::{
    comparison_seeds, fidelity_seeds, final_seeds, finalist_seeds, leader_seed, reproduction_seeds,
};
pub use settings::{
    Branches, MAX_DEPTH, Place, Predictions, ScreeningSettings, SearchSettings, Settings,
    SettingsError, Strategy, add_defaults, key_value, parse_toml, read_table, set_key,
};
pub use store::{
    CandidateRow, FORMAT, Folder, FolderError, NewRun, Recorder, RunBranch, RunInfo, Store,
    StoreError, WorkerSummary,
};
pub use strategy::start_losses;
pub use study::{Measured, Plan, expected_seconds};
pub use task::{
    BranchSample, BranchScorer, BranchSpec, Criterion, Derived, Evaluation, EvaluationSet, FnTask,
    InputSpec, Interrupt, Job, Keeping, Outcome, Report, Reporter, Role, SEARCH_SCORE, Sample,
    Schedule, Scorer, SetOnPanic, Task, TaskError, identity, parse_loss,
};
pub use worker::{Further, serve, serve_with};
