//! `autoloss show`: the results of a run.

use std::path::PathBuf;

use anyhow::Result;
use autoloss_search::{
    Earlier, PredictionQuality, Store, prediction_quality, prediction_quality_of,
};
use clap::Args;
use serde_json::{Value, json};

use crate::config::Config;
use crate::output::{print, print_json};
use crate::summary::{as_json, as_text};

/// Show a run: its best losses, the fates of the candidates, the comparison.
#[derive(Args)]
#[command(after_help = "Example:
  autoloss show runs/digits-miou-1 --top 20")]
pub(crate) struct Arguments {
    /// Folder of the run.
    dir: PathBuf,
    /// Number of losses to show.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Tell, too, how well the scores of trained losses are predicted from each other; needs the task's data.
    #[arg(long)]
    prediction: bool,
    /// Tell, too, how well the scores of another run are predicted from the trainings of this one, as `search
    /// --learn-from` makes use of them; the losses of both have the same branches.
    #[arg(long, value_name = "RUN")]
    prediction_of: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let store = Store::open(&arguments.dir)?;
    let qualities = Qualities::of(arguments, &store)?;
    match arguments.json {
        true => {
            let mut json = as_json(&store, arguments.top)?;
            qualities.add_to(&mut json);
            print_json(&json)
        }
        false => print(&(as_text(&store, arguments.top)? + &qualities.as_text())),
    }
}

/// Qualities of predictions that are asked for.
struct Qualities {
    /// Of a run's scores from each other.
    own: Option<Quality>,
    /// Of another run's, and its folder.
    other: Option<(PathBuf, Quality)>,
}

/// `None` where there is no order to tell.
type Quality = Option<PredictionQuality>;

impl Qualities {
    fn of(arguments: &Arguments, store: &Store) -> Result<Self> {
        let mut qualities = Self {
            own: None,
            other: None,
        };
        if !arguments.prediction && arguments.prediction_of.is_none() {
            return Ok(qualities);
        }
        let task = Config::of_run(&arguments.dir, &store.info()?)?.open_task()?;
        if arguments.prediction {
            qualities.own = Some(prediction_quality(&*task, store)?);
        }
        if let Some(dir) = &arguments.prediction_of {
            let other = Earlier::of_run(dir, &*task)?;
            let quality = prediction_quality_of(&*task, store, &other)?;
            qualities.other = Some((dir.clone(), quality));
        }
        Ok(qualities)
    }

    fn as_text(&self) -> String {
        let mut text = String::new();
        let none = "fewer than eight trained losses, or all alike";
        if let Some(own) = self.own {
            let found = own.map_or(none.to_owned(), |PredictionQuality { spearman, losses }| {
                format!("Spearman's correlation {spearman:.2}, leaving one out of {losses} trained losses")
            });
            text.push_str(&format!("\nprediction of scores: {found}\n"));
        }
        if let Some((dir, other)) = &self.other {
            let found = other.map_or(none.to_owned(), |PredictionQuality { spearman, losses }| {
                format!("Spearman's correlation {spearman:.2} over {losses} trained losses")
            });
            text.push_str(&format!(
                "\nprediction of the scores of {}: {found}\n",
                dir.display()
            ));
        }
        text
    }

    fn add_to(&self, json: &mut Value) {
        let of = |quality: &Quality| {
            quality.map(|PredictionQuality { spearman, losses }| {
                json!({"spearman": spearman, "losses": losses})
            })
        };
        if let Some(own) = &self.own {
            json["prediction"] = of(own).into();
        }
        if let Some((_, other)) = &self.other {
            json["prediction_of"] = of(other).into();
        }
    }
}
