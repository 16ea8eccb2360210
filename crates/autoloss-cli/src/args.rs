//! Arguments that several commands share, and the checks of their values.

use std::path::PathBuf;

use anyhow::Result;
use autoloss_search::Settings;
use clap::Args;

use crate::exit::usage;

/// Largest number of trainings of one loss that a command makes.
const MAX_SEEDS: u64 = 1000;

/// Task and settings.
#[derive(Args, Clone, Default, PartialEq)]
pub(crate) struct TaskArguments {
    /// Task: digits, digits-detection, digits-instances or figures-pose (embedded data); voc,
    /// cityscapes, coco-detection, coco-instances or coco-pose (with --data).
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
    /// Metric: miou, fwiou, gacc, macc, biou or bf1; for boxes, masks and keypoints ap, ap50, ap75,
    /// ar and the others of COCO.
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,
    /// Folder of the data set.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Names of the classes in the order of their labels, separated by commas.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub(crate) classes: Option<Vec<String>>,
    /// Labels of the numbers in label files, as in 0=0,255=1 for masks of 0 and 255, or
    /// 7=0,8=1,*=ignore; numbers that are not listed are labels.
    #[arg(long, value_name = "N=LABEL,…")]
    pub(crate) label_map: Option<String>,
    /// Classes of the colours in coloured masks: lines NAME R G B, CVAT's labelmap.txt or CamVid's
    /// label_colors.txt, which are also found in the folder of the data set.
    #[arg(long, value_name = "FILE")]
    pub(crate) colors: Option<PathBuf>,
    /// Network: deeplabv3plus, pspnet, fasterrcnn, maskrcnn or simplebaseline, as the task has it, with
    /// -resnet18, -resnet34, -resnet50, -resnet101 or -slim; without, that of the settings.
    #[arg(long, value_name = "NAME")]
    pub(crate) net: Option<String>,
    /// Device that networks run on: flex is the processor. Given several times, as in --device cuda:0
    /// --device cuda:1, each has a process of its own, and trainings are spread over them.
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Vec<String>,
    /// File of settings; `autoloss search --print-config` prints one to start from.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, as in the file of settings: task.training.steps=500. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// A task that is none of ours.
#[derive(Args, Clone)]
pub(crate) struct ProgramArguments {
    /// Program that is the task: it trains with losses and scores by a metric of its own, in any language; docs/worker.md
    /// tells what it reads and writes. No shell runs the command.
    #[arg(long, value_name = "CMD", conflicts_with_all = ["task", "metric", "data", "classes", "label_map", "colors", "net"])]
    pub(crate) evaluator: Option<String>,
}

/// Number and place of the workers.
#[derive(Args, Clone)]
pub(crate) struct WorkerArguments {
    /// Trainings side by side; default: one a core.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Place of the trainings: threads of this process, or processes, one a worker. A training that takes
    /// its process down is made again in another one. Default: threads.
    #[arg(long, value_name = "PLACE", value_parser = ["threads", "processes"])]
    pub(crate) executor: Option<String>,
}

/// Settings of a search to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preset {
    Paper,
}

impl Preset {
    /// The settings that it changes, as TOML.
    pub(crate) const fn toml(self) -> &'static str {
        match self {
            Self::Paper => Settings::PAPER_TOML,
        }
    }
}

/// Checks the number of seeds that `--seeds` gives.
pub(crate) fn check_seeds(seeds: u64) -> Result<()> {
    check_number("--seeds", seeds, 1)
}

/// Checks a number of seeds or losses that a flag gives.
pub(crate) fn check_number(flag: &str, number: u64, least: u64) -> Result<()> {
    match (least..=MAX_SEEDS).contains(&number) {
        true => Ok(()),
        false => Err(usage(format!(
            "{flag} {number}: expected at least {least} and at most {MAX_SEEDS}"
        ))),
    }
}
