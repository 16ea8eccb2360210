//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use autoloss_expr::FORMATS;
use autoloss_search::Settings;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};

use crate::commands::{Scale, Sheet};

/// Searches loss functions from scratch for an evaluation metric (AutoLoss-Zero).
///
/// Losses are given as a formula over `yhat` and `y`, as `zoo:NAME` (a hand-written loss), as `@DIR`
/// (a run's best) or `@DIR#ID` (a candidate of a run).
#[derive(Parser)]
#[command(version, about, long_about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Search a loss for a task and its metric.
    #[command(after_help = "Examples:
  autoloss search
  autoloss search --task digits --metric bf1 --time 30m --run runs/bf1
  autoloss search --task voc --data VOC2012 --evaluations 200 --set screening.threshold=0.5
  autoloss search --task digits-detection --fix rpn_box=zoo:smooth_l1 --fix rcnn_box=zoo:smooth_l1")]
    Search(Search),
    /// Go on with a run that was interrupted, or give a finished one a larger budget.
    #[command(after_help = "Example:
  autoloss resume runs/digits-miou-1 --time 1h")]
    Resume(Resume),
    /// Show a run: its best losses, what became of the candidates, the comparison.
    #[command(after_help = "Example:
  autoloss show runs/digits-miou-1 --top 20")]
    Show(Show),
    /// Write a run as one HTML page that needs nothing else: losses, curves, what the search did.
    #[command(after_help = "Example:
  autoloss report runs/digits-miou-1 --out report.html")]
    Report(Report),
    /// Make one of the paper's tables or figures: searches, trainings, the table beside the paper's.
    ///
    /// An interrupted table goes on with the same command; tables in one folder share their searches.
    #[command(after_help = "Examples:
  autoloss reproduce figure4
  autoloss reproduce table2 --scale small --data VOC2012
  autoloss reproduce table3 --scale paper --data VOC2012 --transfer-data cityscapes")]
    Reproduce(Reproduce),
    /// Train with one loss in full: checkpoints, final network, all metrics.
    #[command(after_help = "Example:
  autoloss retrain --task voc --data VOC2012 --net deeplabv3plus-resnet50 --loss @runs/voc-miou-1 \\
      --set task.full.longest_side=0 --set task.full.training.crop=513 \\
      --set task.full.training.steps=30000 --out trained")]
    Retrain(Retrain),
    /// Train with several losses alike, in full, over several seeds, and compare the scores.
    #[command(after_help = "Example:
  autoloss compare --task digits --loss @runs/digits-miou-1 --loss zoo:cross_entropy --loss zoo:dice")]
    Compare(Compare),
    /// Measure how well the proxy's ranking of losses predicts that of full training.
    ///
    /// A panel of hand-written losses and of random ones that pass screening is trained by the proxy, as a
    /// search does, and in full. Printed are rank correlations with bootstrap intervals, the regret (best full
    /// score of the panel less the best one among the proxy's first three) and the costs.
    #[command(after_help = "Examples:
  autoloss fidelity --task digits --out fidelity/digits
  autoloss fidelity --task voc --data VOC2012 --metric bf1 --losses 40 --seeds 3 --out fidelity/voc
  autoloss fidelity --task digits --set task.training.steps=600 --loss @runs/digits-miou-1 --json")]
    Fidelity(Fidelity),
    /// Read and check a data set: images, classes, and how many pixels or objects each has.
    #[command(after_help = "Examples:
  autoloss data --task voc --data VOC2012
  autoloss data --task coco-detection --data coco --json")]
    Data(Data),
    /// Compute a loss on arrays: its value and, if asked for, its gradient.
    #[command(after_help = "Example:
  autoloss eval --loss '-(y * log(yhat))' --yhat yhat.npy --y y.npy --grad gradient.npy")]
    Eval(Eval),
    /// Write a loss in another language: code without any dependency on this program, a model, mathematics.
    #[command(after_help = "Examples:
  autoloss export --loss @runs/digits-miou-1 --to pytorch --out loss.py
  autoloss export --loss '-(y * log(yhat))' --to jax
  autoloss export --loss @runs/boxes --task digits-detection --to onnx --out loss.onnx")]
    Export(Export),
    /// Rewrite a loss to the shortest form found with the same value and gradients.
    #[command(after_help = "Example:
  autoloss simplify --loss 'mean_nhw(-(y * -log(exp(yhat))) + (1 - 1))'")]
    Simplify(Simplify),
    /// Screen random candidates: what becomes of them, how many a minute.
    #[command(after_help = "Examples:
  autoloss screen --task digits --count 100000
  autoloss screen --made-up 21x128x128 --json
  autoloss screen --count 1000 --compare-exact
  autoloss screen --task digits-detection --count 200 --compare-branches")]
    Screen(Screen),
    /// Score predictions in files, without any network.
    #[command(subcommand)]
    Score(Score),
    /// The hand-written losses that the program knows.
    #[command(subcommand)]
    Zoo(Zoo),
    /// Train for a search in another process, which `--executor processes` starts, or which speaks the messages of
    /// docs/worker.md: lines of JSON on the standard streams. With a task it serves any such search, on a cluster, too.
    #[command(after_help = "Examples:
  autoloss search --executor processes --set search.trial_time=600
  python -m autoloss.ray --task voc --data data/CamVid --metric miou --time 8h
  autoloss search --evaluator 'autoloss worker --task digits'")]
    Worker(Worker),
}

#[derive(Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    /// Settings of the search in place of the task's, as in `autoloss search`.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) preset: Option<Preset>,
}

/// Which task, with which settings.
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

/// Where trainings run.
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

#[derive(Args)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    #[command(flatten)]
    pub(crate) program: ProgramArguments,
    /// Folder of the run, which must not hold one yet; default: a new one under runs/.
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Seed of the run.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// End after this many proxy trainings.
    #[arg(long, value_name = "N")]
    pub(crate) evaluations: Option<u64>,
    /// End after about this long, the full trainings at the end included: 10m, 2h. Default, where no number
    /// of evaluations is given either: 9m30s, or one and a half times that of those full trainings where
    /// they leave less than a tenth of it.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    #[command(flatten)]
    pub(crate) workers: WorkerArguments,
    /// Settings to start from in place of the task's: paper is the published configuration of
    /// AutoLoss-Zero. A file of settings and flags change it.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) preset: Option<Preset>,
    /// Hold a branch of the task fixed to a loss, as in rpn_box=zoo:smooth_l1. May be repeated.
    #[arg(long, value_name = "BRANCH=LOSS", allow_hyphen_values = true)]
    pub(crate) fix: Vec<String>,
    /// A loss that the population begins with, or zoo for all hand-written ones that fit. May be repeated.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    pub(crate) start: Vec<String>,
    /// Folder of an earlier run whose losses have the same branches, for another metric or data set, say:
    /// predictions of scores are made from its trainings, too.
    #[arg(long, value_name = "DIR")]
    pub(crate) learn_from: Option<PathBuf>,
    /// Print the defaults of the task (--task) as a commented file of settings, and end.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Resume {
    /// Folder of the run.
    pub(crate) dir: PathBuf,
    /// A new limit on proxy trainings, those already made included.
    #[arg(long, value_name = "N")]
    pub(crate) evaluations: Option<u64>,
    /// A new limit on time, that already spent included.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Show {
    /// Folder of the run.
    pub(crate) dir: PathBuf,
    /// How many losses to show.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) top: usize,
    /// Tell, too, how well the scores of trained losses are predicted from each other; needs the task's data.
    #[arg(long)]
    pub(crate) prediction: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Report {
    /// Folder of the run.
    pub(crate) dir: PathBuf,
    /// The page; default: report.html in the run's folder.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Reproduce {
    /// Which table or figure.
    #[arg(value_enum)]
    pub(crate) sheet: Sheet,
    /// How large.
    #[arg(long, value_enum, default_value_t = Scale::Tiny)]
    pub(crate) scale: Scale,
    /// Folder of the searches, trainings and tables; default: reproduced/SCALE.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Folder of the data set that is searched on: VOC's or COCO's layout; not for scale tiny.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Folder of the data set that losses are transferred to: Cityscapes, or COCO's layout.
    #[arg(long, value_name = "DIR")]
    pub(crate) transfer_data: Option<PathBuf>,
    /// One setting of all searches and trainings, as in search.time=600. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Worker threads; default: one a core.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Print the table as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Retrain {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    /// The loss.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    pub(crate) loss: String,
    /// Folder for checkpoints, the network and the metrics; must be empty or new, except with --resume.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on from the last checkpoint in --out; the result equals that of a training that was not
    /// interrupted.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Seed of the training; of several, the first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Trainings with so many seeds, each in a folder of its own in --out.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seeds: u64,
    /// Which network is kept: that after the last update, or that of the checkpoint with the best score
    /// on the search set, which is held out of the training data. Results are of the validation set.
    #[arg(long, value_enum, default_value_t = Keep::Last)]
    pub(crate) keep: Keep,
    /// Updates between two checkpoints; default: a tenth of all.
    #[arg(long, value_name = "N")]
    pub(crate) checkpoint_every: Option<usize>,
    #[command(flatten)]
    pub(crate) workers: WorkerArguments,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
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

/// Which network of a training is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Keep {
    Last,
    Best,
}

#[derive(Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    #[command(flatten)]
    pub(crate) program: ProgramArguments,
    /// A loss; give several.
    #[arg(
        long = "loss",
        value_name = "LOSS",
        required = true,
        allow_hyphen_values = true
    )]
    pub(crate) losses: Vec<String>,
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) seeds: usize,
    /// The seed that the seeds are drawn from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Train by the proxy of the task, as a search does, in place of full training.
    #[arg(long)]
    pub(crate) proxy: bool,
    /// Keep each training in this folder, with all metrics; what is there is not made again.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) workers: WorkerArguments,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Fidelity {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    #[command(flatten)]
    pub(crate) program: ProgramArguments,
    /// Losses of the panel, at least 8: hand-written ones that fit the task make up two thirds of it at most,
    /// the others are random.
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub(crate) losses: usize,
    /// A further loss of the panel. May be repeated.
    #[arg(long = "loss", value_name = "LOSS", allow_hyphen_values = true)]
    pub(crate) given: Vec<String>,
    /// Full trainings of each loss, with a seed each.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) seeds: usize,
    /// Proxy trainings of each loss, with a seed each; a search makes one.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) proxy_seeds: usize,
    /// The seed that the random losses and the seeds of trainings are drawn from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Keep each training in this folder, with all metrics, and write the page fidelity.html and the diagram
    /// fidelity.svg there; what is there is not made again.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) workers: WorkerArguments,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Data {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Zoo {
    /// List them: name, what they compare, formula, source.
    #[command(after_help = "Examples:
  autoloss zoo list
  autoloss eval --loss zoo:dice --yhat yhat.npy --y y.npy")]
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(crate) struct Eval {
    /// The loss: a formula, zoo:NAME, @DIR or @DIR#ID.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    pub(crate) loss: String,
    /// Predictions, shape (N, C, H, W), real numbers of any type.
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) yhat: PathBuf,
    /// Targets of the same shape.
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) y: PathBuf,
    /// A further input of the same shape that the formula may name; a constant to the gradient.
    #[arg(long = "input", value_name = "NAME=FILE.npy")]
    pub(crate) inputs: Vec<String>,
    /// Write the gradient of the loss value with respect to yhat here, as 32-bit floats.
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) grad: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The loss: a formula, zoo:NAME, @DIR or @DIR#ID.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    pub(crate) loss: String,
    /// Language or file format.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) to: String,
    /// Task that the loss is for: its branches, and the meaning of their inputs. Without it `yhat` is a prediction of
    /// any kind and `y` the target.
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,
    /// The file; without it, text is printed.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Simplify {
    /// The loss: a formula, zoo:NAME, @DIR or @DIR#ID.
    #[arg(long, value_name = "LOSS", allow_hyphen_values = true)]
    pub(crate) loss: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Screen {
    #[command(flatten)]
    pub(crate) task: TaskArguments,
    #[command(flatten)]
    pub(crate) program: ProgramArguments,
    /// How many random candidates.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) count: u64,
    /// Judge exactly: in f64, step by step, without any shortcut; takes seconds a candidate.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Judge both ways and list where the verdicts differ.
    #[arg(long)]
    pub(crate) compare_exact: bool,
    /// Judge candidates branch by branch and all branches together, and count how often the two
    /// agree. Candidates are put together from trees that pass by themselves and trees that do not.
    #[arg(long, conflicts_with_all = ["exact", "compare_exact", "made_up"])]
    pub(crate) compare_branches: bool,
    /// Settings to start from in place of the task's: paper is the published configuration of
    /// AutoLoss-Zero. A file of settings and flags change it.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) preset: Option<Preset>,
    /// Hold a branch of the task fixed to a loss, as in rpn_box=zoo:smooth_l1. May be repeated.
    #[arg(long, value_name = "BRANCH=LOSS", allow_hyphen_values = true)]
    pub(crate) fix: Vec<String>,
    /// Screen on made-up predictions of this shape instead of the task's: 21x128x128.
    #[arg(long, value_name = "CxHxW", value_parser = shape)]
    pub(crate) made_up: Option<[usize; 3]>,
    /// Seed of the candidates and of the stored predictions; default: the setting search.seed.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Worker threads; default: one a core.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Score {
    /// mIoU, FWIoU, gAcc, mAcc, BIoU and BF1 of label maps.
    #[command(after_help = "Examples:
  autoloss score segmentation --pred predictions --target targets --classes 21 --background 0
  autoloss score segmentation --pred p --target masks --classes background,cell --label-map 0=0,255=1
  autoloss score segmentation --pred p --target SegmentationClass --colors labelmap.txt")]
    Segmentation(ScoreSegmentation),
    /// COCO's average precision and recall of boxes.
    #[command(after_help = "Example:
  autoloss score detection --target instances_val2017.json --pred results.json")]
    Detection(ScoreCoco),
    /// COCO's average precision and recall of masks.
    #[command(after_help = "Example:
  autoloss score mask --target instances_val2017.json --pred results.json --json")]
    Mask(ScoreCoco),
    /// COCO's average precision and recall of keypoints.
    #[command(after_help = "Example:
  autoloss score keypoints --target person_keypoints_val2017.json --pred results.json")]
    Keypoints(ScoreKeypoints),
}

#[derive(Args)]
pub(crate) struct ScoreKeypoints {
    #[command(flatten)]
    pub(crate) files: ScoreCoco,
    /// How far annotators place each keypoint apart, as a share of the object's size, separated by
    /// commas; default: COCO's for 17 keypoints, else 0.067 for each.
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    pub(crate) sigmas: Option<Vec<f64>>,
}

#[derive(Args)]
pub(crate) struct ScoreCoco {
    /// Annotations in COCO's format: images, categories, annotations.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) target: PathBuf,
    /// Results in COCO's format: a list of objects with image_id, category_id, score and bbox,
    /// segmentation or keypoints.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) pred: PathBuf,
    /// The surest predictions of an image and category that count; default: 100, of keypoints 20.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_dets: Option<usize>,
    /// Print JSON; where there is nothing to find, -1.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ScoreSegmentation {
    /// Folder of predicted label maps: PNG whose grey values, palette indices or equal red, green and
    /// blue are labels, or coloured masks; folders in it are looked into.
    #[arg(long, value_name = "DIR")]
    pub(crate) pred: PathBuf,
    /// Folder of target label maps: the same file names, or names that mean the same frame of
    /// Cityscapes.
    #[arg(long, value_name = "DIR")]
    pub(crate) target: PathBuf,
    /// Number of classes (labels are 0 to N − 1), or their names; with a colour map, that of its
    /// classes.
    #[arg(long, value_name = "N|A,B,…")]
    pub(crate) classes: Option<String>,
    /// Labels of the numbers in the files, as in 0=0,255=1 for masks of 0 and 255, or
    /// 7=0,8=1,*=ignore; numbers that are not listed are labels.
    #[arg(long, value_name = "N=LABEL,…")]
    pub(crate) label_map: Option<String>,
    /// Classes of the colours in coloured masks: lines NAME R G B, CVAT's labelmap.txt or CamVid's
    /// label_colors.txt, which are also found in the folder of the targets and the one above it.
    #[arg(long, value_name = "FILE")]
    pub(crate) colors: Option<PathBuf>,
    /// Target label of pixels to leave out.
    #[arg(long, value_name = "LABEL", default_value_t = 255)]
    pub(crate) ignore: u8,
    /// Class whose edges the boundary metrics leave out; default: that named background, if classes
    /// have names.
    #[arg(long, value_name = "LABEL")]
    pub(crate) background: Option<u8>,
    /// Chebyshev distance of the boundary metrics in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 5)]
    pub(crate) boundary_distance: u32,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The formats of exports.
fn formats() -> PossibleValuesParser {
    let formats = FORMATS.iter();
    PossibleValuesParser::new(formats.map(|f| PossibleValue::new(f.name()).help(f.about())))
}

/// Reads a duration such as `90s`, `3m`, `1h30m`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time such as 90s, 3m or 1h30m, found `{text}`");
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| expected())?;
        let unit = rest[digits..].chars().next();
        seconds += number
            * match unit {
                Some('h') => 3600.0,
                Some('m') => 60.0,
                Some('s') | None => 1.0,
                Some(_) => return Err(expected()),
            };
        rest = &rest[digits + unit.map_or(0, char::len_utf8)..];
    }
    if seconds <= 0.0 || text.is_empty() {
        return Err(expected());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| expected())
}

/// Reads a number of things of which there is at least one.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("expected a whole number from 1, found `{text}`")),
    }
}

/// Classes, height and width.
fn shape(text: &str) -> Result<[usize; 3], String> {
    let numbers: Option<Vec<usize>> = text.split('x').map(|n| n.parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| <[usize; 3]>::try_from(numbers).ok());
    let fits = |[c, h, w]: &[usize; 3]| {
        (2..=255).contains(c) && [h, w].iter().all(|side| (1..=4096).contains(*side))
    };
    numbers
        .filter(fits)
        .ok_or_else(|| "expected classes x height x width, such as 21x128x128".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        let seconds = |text: &str| duration(text).map(|d| d.as_secs_f64());
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds("3m"), Ok(180.0));
        assert_eq!(seconds("1h30m"), Ok(5400.0));
        assert_eq!(seconds("0.5h"), Ok(1800.0));
        for wrong in ["", "m", "3x", "-3m", "0", "3 m", "1e400h", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
