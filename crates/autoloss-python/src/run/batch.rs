//! Lists of trainings, one after another, that a call of Python waits for.

use autoloss_search::{Ended, Entry, News, SearchError, train_all};
use pyo3::prelude::*;

use super::attend::{Progress, attended};
use crate::task::UserTask;
use crate::worker::{Crew, processes, workers};

/// Makes the trainings of each list, which has a name for people.
///
/// # Errors
/// As a search; an interrupt, which leaves no result.
pub(super) fn trained(
    py: Python<'_>,
    task: &UserTask,
    lists: &[(&str, Vec<Entry>)],
    progress: &Bound<'_, PyAny>,
    crew: Option<Crew>,
) -> PyResult<Vec<Vec<Ended>>> {
    let processes = processes(py, task, crew)?;
    let ended = attended(py, task, progress, |interrupt, tell| {
        let make = |(name, entries): &(&str, Vec<Entry>)| {
            let (of, mut made) = (entries.len(), 0);
            let stage = |made| Progress::Stage(format!("{name}: {made} of {of} trainings"));
            tell(stage(0));
            let workers = workers(processes.as_ref());
            let all = train_all(&**task, entries, workers, interrupt, &mut |news| {
                if let News::Ended(..) = news {
                    made += 1;
                    tell(stage(made));
                }
                Ok(())
            })?;
            match all.len() == of {
                true => Ok(all),
                false => Err(SearchError::Interrupted),
            }
        };
        lists.iter().map(make).collect::<Result<Vec<_>, _>>()
    });
    py.detach(|| drop(processes));
    ended
}
