//! The real program, end to end: a module a theme.

mod data;
mod eval;
#[cfg(unix)]
mod evaluator;
mod export;
mod fidelity;
mod folders;
mod log;
mod objects;
mod output;
mod processes;
mod reports;
mod runs;
mod score_coco;
mod score_segmentation;
mod support;
mod trainings;
mod usage;

use support::{
    Dir, array, borrowed, evaluations, rows, started, started_with, stderr, tiny, write_labels,
    write_voc,
};
