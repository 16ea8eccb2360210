//! `autoloss show`: the results of a run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use autoloss_search::{PredictionQuality, Store, prediction_quality};
use clap::Args;
use serde_json::json;

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
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let store = Store::open(&arguments.dir)?;
    if arguments.json {
        let mut json = as_json(&store, arguments.top)?;
        if arguments.prediction {
            let quality = quality_of_prediction(&arguments.dir, &store)?;
            json["prediction"] = match quality {
                Some(PredictionQuality { spearman, losses }) => {
                    json!({"spearman": spearman, "losses": losses})
                }
                None => serde_json::Value::Null,
            };
        }
        return print_json(&json);
    }
    let mut text = as_text(&store, arguments.top)?;
    if arguments.prediction {
        let quality = quality_of_prediction(&arguments.dir, &store)?;
        text.push_str(&match quality {
            Some(PredictionQuality { spearman, losses }) => format!(
                "\nprediction of scores: Spearman's correlation {spearman:.2}, leaving one out of {losses} \
                 trained losses\n"
            ),
            None => "\nprediction of scores: fewer than eight trained losses, or all alike\n".to_owned(),
        });
    }
    print(&text)
}

/// Quality of the predictions of a run's scores from each other.
fn quality_of_prediction(dir: &Path, store: &Store) -> Result<Option<PredictionQuality>> {
    let config = Config::of_run(dir, &store.info()?)?;
    Ok(prediction_quality(&*config.open_task()?, store)?)
}
