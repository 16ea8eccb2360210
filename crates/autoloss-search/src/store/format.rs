//! The tables of a run, and those that runs of earlier minor versions lack.

use rusqlite::Connection;

/// Version of the tables: a reader understands its own major version, any minor one.
///
/// Runs before 1.6 hold neither the branches of their task nor the workers of their trials. Runs before 1.5 have no further trainings of leaders, no
/// losses of earlier runs, and no origins `crossover` and `scaling`. Runs before 1.4 have no scores of trainings on the
/// way. Runs before 1.3 end with a comparison by the proxy, without full training. Runs before 1.2 have no search set:
/// their candidates were scored on the validation set; they give failed trainings a score of 0.
pub const FORMAT: (u32, u32) = (1, 6);

/// The tables of format 1.0.
pub(super) const SCHEMA: &str = "
CREATE TABLE run (
    program TEXT NOT NULL,
    task TEXT NOT NULL,
    metric TEXT NOT NULL,
    settings TEXT NOT NULL,
    task_settings TEXT NOT NULL,
    seed INTEGER NOT NULL,
    cores INTEGER NOT NULL,
    arch TEXT NOT NULL,
    created INTEGER NOT NULL,
    elapsed REAL NOT NULL,
    ended TEXT
);
CREATE TABLE candidate (
    id INTEGER PRIMARY KEY,
    proposal INTEGER NOT NULL,
    draw INTEGER NOT NULL,
    parent INTEGER,
    origin TEXT NOT NULL,
    formula TEXT NOT NULL,
    canonical TEXT NOT NULL,
    fate TEXT NOT NULL,
    reason TEXT,
    g REAL,
    norms TEXT NOT NULL,
    equivalent_to INTEGER,
    score REAL,
    joined INTEGER,
    screening_seconds REAL NOT NULL,
    training_seconds REAL,
    metrics TEXT NOT NULL,
    worker INTEGER NOT NULL,
    UNIQUE (proposal, draw)
);
CREATE TABLE curve (
    candidate INTEGER NOT NULL,
    number INTEGER NOT NULL,
    loss_value REAL,
    PRIMARY KEY (candidate, number)
) WITHOUT ROWID;
CREATE TABLE drawn (
    proposal INTEGER PRIMARY KEY,
    drawn INTEGER NOT NULL,
    structural INTEGER NOT NULL,
    cached INTEGER NOT NULL
);
CREATE TABLE training (
    purpose TEXT NOT NULL,
    name TEXT NOT NULL,
    formula TEXT NOT NULL,
    seed INTEGER NOT NULL,
    score REAL NOT NULL,
    seconds REAL NOT NULL,
    note TEXT,
    curve TEXT NOT NULL,
    metrics TEXT NOT NULL,
    PRIMARY KEY (purpose, name, seed)
);
";

/// Tables that runs of format 1.0 do not have.
pub(super) const SINCE_1_1: &str = "
CREATE TABLE moment (
    candidate INTEGER PRIMARY KEY,
    elapsed REAL NOT NULL
);
CREATE TABLE picture (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    png BLOB NOT NULL,
    PRIMARY KEY (name, number)
);
";

/// The table that runs before format 1.2 do not have: trainings of a comparison without a score.
pub(super) const SINCE_1_2: &str = "
CREATE TABLE failure (
    purpose TEXT NOT NULL,
    name TEXT NOT NULL,
    formula TEXT NOT NULL,
    seed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (purpose, name, seed)
);
";

/// The table that runs before format 1.4 do not have: scores of trainings on the way.
pub(super) const SINCE_1_4: &str = "
CREATE TABLE report (
    candidate INTEGER NOT NULL,
    share REAL NOT NULL,
    score REAL NOT NULL
);
";

/// The tables that runs before format 1.6 do not have: the task's branches, and trials that ended, with the worker of each.
/// The reference has the number 0.
pub(super) const SINCE_1_6: &str = "
CREATE TABLE branch (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    activation TEXT NOT NULL
);
CREATE TABLE trial (
    candidate INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    seconds REAL NOT NULL,
    elapsed REAL NOT NULL,
    lost INTEGER NOT NULL
);
";

/// Gives a run that is gone on with the tables of this version.
pub(super) fn upgrade(connection: &Connection, minor: u32) -> rusqlite::Result<()> {
    if minor >= FORMAT.1 {
        return Ok(());
    }
    let reports = if minor < 4 { SINCE_1_4 } else { "" };
    let version = (FORMAT.0 << 16) | FORMAT.1;
    connection.execute_batch(&format!(
        "BEGIN; {reports} {SINCE_1_6} PRAGMA user_version = {version}; COMMIT;"
    ))
}

/// Candidates that have a score of 0 before format 1.2 and none since: trainings that failed, and
/// candidates equivalent to theirs.
const WITHOUT_SCORE: &str = "(fate = 'failed' OR coalesce(equivalent_to IN \
    (SELECT id FROM main.candidate WHERE fate = 'failed'), FALSE))";

/// Failed trainings of a comparison, which have a score of 0 before format 1.2.
const FAILED: &str = "(note IS NOT NULL AND curve = '[]' AND metrics = '[]' \
    AND note NOT LIKE '% at update %')";

/// Shows a run of an earlier minor version to this connection in the form of this version; the file
/// stays as it is.
pub(super) fn show_upgraded(connection: &Connection, minor: u32) -> rusqlite::Result<()> {
    let temporary = |tables: &str| tables.replace("CREATE TABLE", "CREATE TEMPORARY TABLE");
    if minor < 1 {
        connection.execute_batch(&temporary(SINCE_1_1))?;
    }
    if minor >= 2 {
        return Ok(());
    }
    let known = |column: &str| format!("iif({WITHOUT_SCORE}, NULL, {column}) AS {column}");
    let (score, joined) = (known("score"), known("joined"));
    connection.execute_batch(&format!(
        "{}
         INSERT INTO failure SELECT purpose, name, formula, seed, seconds, note
            FROM main.training WHERE {FAILED};
         CREATE TEMPORARY TABLE training AS
            SELECT * FROM main.training WHERE NOT {FAILED} ORDER BY rowid;
         CREATE TEMPORARY VIEW candidate AS SELECT id, proposal, draw, parent, origin, formula,
            canonical, fate, reason, g, norms, equivalent_to, {score}, {joined}, screening_seconds,
            training_seconds, metrics, worker FROM main.candidate;",
        temporary(SINCE_1_2),
    ))
}
