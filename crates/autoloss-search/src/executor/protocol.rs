//! The lines of JSON between a search and its worker processes, one message a line.
//!
//! The search begins with [`Request::Hello`], which the worker answers with [`Reply::Ready`] or
//! [`Reply::Refused`]. Each [`Request::Train`] is answered with one [`Reply::Done`]. A worker ends when its
//! input ends.

use serde::{Deserialize, Serialize};

use crate::study::{Trial, TrialId, TrialOutcome};
use crate::task::Report;

/// Version of the messages. A worker of another version is refused.
pub(crate) const VERSION: u32 = 2;

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
    Train(Trial),
    /// A training to end before its time.
    Cancel(TrialId),
}

/// A message from a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// The worker has opened the task.
    Ready {
        /// Version of the messages.
        version: u32,
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
        let request = Request::Train(Trial {
            id: 3,
            attempt: 1,
            loss: "-(y * log(yhat))".to_owned(),
            job: Job::default(),
        });
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
