//! The lines of JSON between a search and its worker processes, one message a line.
//!
//! The search begins with [`Request::Hello`], which the worker answers with [`Reply::Ready`] or
//! [`Reply::Refused`]. Each [`Request::Train`] is answered with one [`Reply::Done`]. A worker ends when its
//! input ends. `docs/worker.md` describes the messages for those who write workers.

use std::collections::BTreeMap;

use autoloss_expr::{Export, Format};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::study::{Trial, TrialId, TrialOutcome};
use crate::task::{BranchSpec, Report, Task, parse_loss};

/// Version of the messages. A worker of another version is refused.
pub const VERSION: u32 = 3;

/// A message to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// The beginning.
    Hello {
        /// Version of the messages.
        version: u32,
        /// Settings of the task, as text that the worker's program understands.
        settings: String,
        /// [`Task::fingerprint`](crate::Task::fingerprint) of the search's own task.
        fingerprint: String,
    },
    /// A training to make.
    Train(Order),
    /// A training to end before its time.
    Cancel(TrialId),
}

/// A training to make, with its loss in the forms that the worker asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    #[serde(flatten)]
    pub(crate) trial: Trial,
    /// The loss by the names of [`autoloss_expr::FORMATS`]: text, or JSON where the format is JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) forms: BTreeMap<String, Value>,
}

impl Order {
    /// A trial of a task with its loss in these forms. A form that the loss cannot have, such as code of a native
    /// loss, is left out.
    pub(crate) fn new(trial: Trial, task: &dyn Task, forms: &[String]) -> Self {
        let written = |name: &String| {
            let loss = parse_loss(task, &trial.loss).ok()?;
            let inputs = task.branches().iter().map(BranchSpec::export_inputs);
            let export = Export::with_inputs(loss, inputs.collect()).ok()?;
            let text = Format::from_name(name).ok()?.write(&export).ok()?;
            let text = String::from_utf8(text).ok()?;
            let json = serde_json::from_str(&text);
            Some((name.clone(), json.unwrap_or(Value::String(text))))
        };
        let forms = forms.iter().filter_map(written).collect();
        Self { trial, forms }
    }
}

/// A message from a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The worker has opened the task.
    Ready {
        /// Version of the messages.
        version: u32,
        /// Forms of losses that it wants beside the formula: names of text formats.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        forms: Vec<String>,
        /// Description of the task, for a search that knows none; see [`Further`](crate::Further).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<Value>,
    },
    /// The worker cannot work for this search.
    Refused {
        /// Why.
        reason: String,
    },
    /// News of a training before its end.
    Report {
        /// The trial.
        id: TrialId,
        /// The news.
        report: Report,
    },
    /// A training ended.
    Done {
        /// The trial.
        id: TrialId,
        /// Its outcome.
        outcome: TrialOutcome,
    },
}

/// The first line to a worker: settings of its task, and [`Task::fingerprint`](crate::Task::fingerprint) of the
/// search's own, empty where that is not known yet.
#[must_use]
pub fn hello(settings: &str, fingerprint: &str) -> String {
    line(&Request::Hello {
        version: VERSION,
        settings: settings.to_owned(),
        fingerprint: fingerprint.to_owned(),
    })
}

/// A message as its line.
pub(crate) fn line<T: Serialize>(message: &T) -> String {
    let text = serde_json::to_string(message);
    // Keys are texts and all values have a form in JSON.
    format!("{}\n", text.expect("messages can be written as JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fate;
    use crate::study::{Failure, Trained};
    use crate::task::Job;
    use crate::toy::Toy;

    #[test]
    fn messages_are_single_lines_that_are_read_as_they_were() {
        let trained = Trained {
            fate: Fate::Scored,
            score: 0.1 + 0.2,
            reason: Some("two\nlines".to_owned()),
            seconds: 1.5,
            curve: vec![(1, 0.5), (2, 0.25)],
            metrics: vec![("miou".to_owned(), 1.0 / 3.0)],
            pictures: vec![vec![0, 255, 10]],
        };
        let failure = Failure {
            message: "\u{2028} out of memory".to_owned(),
            seconds: 0.1,
        };
        let outcomes = [
            TrialOutcome::Trained(trained),
            TrialOutcome::Failed(failure),
            TrialOutcome::Interrupted,
            TrialOutcome::Lost("killed".to_owned()),
        ];
        for outcome in outcomes {
            let reply = Reply::Done { id: 7, outcome };
            let text = line(&reply);
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            assert_eq!(serde_json::from_str::<Reply>(&text).unwrap(), reply);
        }
        let trial = Trial {
            id: 3,
            attempt: 1,
            loss: "-(y * log(yhat))".to_owned(),
            job: Job {
                reports: vec![0.1, 1.0 / 3.0],
                ..Job::default()
            },
        };
        let forms = ["pytorch", "steps"].map(str::to_owned);
        let order = Order::new(trial, &Toy::default(), &forms);
        assert!(
            order.forms["pytorch"]
                .as_str()
                .unwrap()
                .contains("import torch")
        );
        assert_eq!(order.forms["steps"]["branches"][0]["steps"][0][0], "input");
        let request = Request::Train(order);
        assert_eq!(
            serde_json::from_str::<Request>(&line(&request)).unwrap(),
            request
        );
    }

    #[test]
    fn numbers_that_are_none_stay_so() {
        let report = Report::Update {
            update: 3,
            of: 10,
            loss_value: f64::NAN,
        };
        let text = line(&Reply::Report { id: 1, report });
        let reply = serde_json::from_str(&text).unwrap();
        let Reply::Report {
            report: Report::Update { loss_value, .. },
            ..
        } = reply
        else {
            panic!("{reply:?}");
        };
        assert!(loss_value.is_nan());
        let text = r#"{"done":{"id":1,"outcome":{"trained":{"fate":"stopped","score":0.0,"reason":null,"seconds":1.0,"curve":[[1,null]],"metrics":[],"pictures":[]}}}}"#;
        let Reply::Done {
            outcome: TrialOutcome::Trained(trained),
            ..
        } = serde_json::from_str(text).unwrap()
        else {
            panic!("a trained one");
        };
        assert!(trained.curve[0].1.is_nan());
        let again = line(&Reply::Done {
            id: 1,
            outcome: TrialOutcome::Trained(trained),
        });
        assert_eq!(again.trim_end(), text);
    }
}
