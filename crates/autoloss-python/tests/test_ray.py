"""Searches on clusters of Ray that run on this machine, with workers that are killed and nodes that come and go."""

import json
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tasks import SMALL, Linear

import autoloss as al
from autoloss.ray import Actor

pytest.importorskip("ray")

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "autoloss-program/examples/rare_class.py"


class Slow(Linear):
    """Trains for a moment, and leaves the number of its process behind."""

    seconds = 0.3

    def __init__(self, folder):
        self.folder = str(folder)

    def evaluate(self, loss, job):
        Path(self.folder, f"{os.getpid()}.pid").touch()
        time.sleep(self.seconds)
        return super().evaluate(loss, job)


@pytest.fixture
def home(tmp_path_factory, monkeypatch):
    """A home of its own: Ray writes there."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def cluster(home):
    """A cluster of two nodes of a worker each."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def alive(folder):
    """Processes that trained and have not ended."""
    found = []
    for path in Path(folder).glob("*.pid"):
        try:
            os.kill(int(path.stem), 0)
            found.append(int(path.stem))
        except ProcessLookupError:
            pass
    return found


def trained_once(run, evaluations):
    """Each evaluation has one outcome, with a score: those that are stopped, as a value was not finite, have 0."""
    table = run.to_pandas()
    trained = table[table.fate.isin(["scored", "stopped", "failed", "lost"])]
    assert len(trained) == evaluations
    assert trained.fate.isin(["scored", "stopped"]).all(), trained.fate.value_counts()
    return dict(zip(trained.formula, trained.score, strict=True))


def test_trainings_survive_kills_and_changes_of_the_cluster(tmp_path, cluster):
    generator = random.Random(int(os.environ.get("AUTOLOSS_TEST_SEED", "0")))
    found = []

    def search():
        found.append(al.search(Slow(tmp_path), evaluations=24, run=tmp_path / "run", executor=al.Ray(), **SMALL))

    thread = threading.Thread(target=search)
    thread.start()
    kills = 0
    while thread.is_alive() and kills < 10:
        time.sleep(generator.uniform(0.2, 0.6))
        if workers := alive(tmp_path):
            os.kill(generator.choice(workers), 9)
            kills += 1
            if kills == 3:
                cluster.remove_node(cluster.nodes[1])
            if kills == 6:
                cluster.add_node(num_cpus=1)
    thread.join(240)
    assert found, "the search did not end"
    assert kills >= 6, "the search ended before the cluster changed"
    scores = trained_once(found[0], 24)
    calm = al.search(Linear(), evaluations=8, run=tmp_path / "calm", **SMALL)
    for formula, score in trained_once(calm, 8).items():
        assert scores.get(formula, score) == pytest.approx(score)
    deadline = time.monotonic() + 10
    while alive(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(tmp_path) == []


def test_what_no_node_has_is_said_at_once(tmp_path, cluster):
    begun = time.monotonic()
    with pytest.raises(ValueError, match="no node of the cluster has room for a worker, which takes 1 CPU, 1 GPU"):
        al.search(Linear(), evaluations=2, run=tmp_path / "run", executor=al.Ray(num_gpus=1), **SMALL)
    assert time.monotonic() - begun < 10


def test_a_task_that_cannot_be_pickled_is_named(tmp_path, cluster):
    task = Linear()
    task.lock = threading.Lock()
    with pytest.raises(TypeError, match="the task Linear cannot be pickled"):
        al.search(task, evaluations=2, run=tmp_path / "run", executor=al.Ray(), **SMALL)


def test_a_program_is_started_where_workers_are(tmp_path, cluster):
    task = al.Program([sys.executable, str(EXAMPLE)])
    unfinished = {**SMALL, "final_losses": 0}
    run = al.search(task, evaluations=6, run=tmp_path / "run", executor=al.Ray(), **unfinished)
    scores = trained_once(run, 6)
    alone = al.search(task, evaluations=3, run=tmp_path / "alone", **unfinished)
    shared = [formula for formula in trained_once(alone, 3) if formula in scores]
    assert shared
    assert all(trained_once(alone, 3)[formula] == scores[formula] for formula in shared)


def test_a_program_that_is_not_on_a_node_is_named():
    lines, end = Actor((["no-such-program", "--x"], None)).lines()
    assert "no-such-program cannot be started on" in json.loads(lines[0])["refused"]["reason"]
    assert end is not None


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "auto"])
def test_a_cluster_that_cannot_be_reached_is_said_at_once(tmp_path, home, address):
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match="no cluster can be reached at"):
        al.search(Linear(), evaluations=2, run=tmp_path / "run", executor=al.Ray(address=address), **SMALL)
    assert time.monotonic() - begun < 20


def command(*words):
    """Result of the command of this module."""
    words = [sys.executable, "-m", "autoloss.ray", *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True)


def test_the_command_searches_and_goes_on(tmp_path, home):
    small = [f"search.{name}=" + str(SMALL[name]) for name in ("choices", "initial", "finalist_seeds")]
    small += ["search.final_losses=1", "search.final_seeds=1", "screening.samples=2", "screening.rejection=false"]
    words = ["--evaluator", f"{sys.executable} {EXAMPLE}", "--workers", 2, "--run", tmp_path / "run", "--json"]
    words += [word for setting in small for word in ("--set", setting)]
    made = command(*words, "--evaluations", 4)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert told["counts"]["trained"] == 4
    assert told["recommended"]
    again = command(*words, "--evaluations", 5)
    assert again.returncode == 2, again.stderr
    more = command(*words, "--evaluations", 5, "--resume")
    assert more.returncode == 0, more.stderr
    assert json.loads(more.stdout)["counts"]["trained"] == 5


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--help"], 0, "--num-gpus"),
        ([], 2, "either --task or --evaluator"),
        (["--task", "voc", "--evaluator", "x"], 2, "either --task or --evaluator"),
        (["--evaluator", "x", "--data", "y"], 2, "--data is given beside --evaluator"),
        (["--evaluator", "x", "--set", "task.x=1"], 2, "beside --evaluator"),
        (["--task", "voc", "--set", "x"], 2, "expected KEY=VALUE"),
        (["--task", "voc", "--workers", "some"], 2, "`workers` is 'some'"),
        (["--task", "voc", "--resume"], 2, "without --run"),
        (["--task", "voc", "--time", "soon"], 2, "expected a duration"),
        (["--evaluator", "no-such-program"], 1, "no-such-program cannot be started"),
        (["--task", "voc", "--program", "no-such-program"], 1, "no-such-program cannot be started"),
    ],
)
def test_the_command_names_what_is_wrong(words, code, expected):
    made = command(*words)
    assert made.returncode == code, made.stderr
    assert expected in made.stdout + made.stderr
    assert "Traceback" not in made.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"workers": 0}, "`workers` is 0"),
        ({"workers": "some"}, "`workers` is 'some'"),
        ({"num_cpus": -1}, "`CPU` is -1"),
        ({"num_cpus": 0}, "take nothing"),
    ],
)
def test_options_that_make_no_sense_are_named(options, expected):
    with pytest.raises(ValueError, match=expected):
        al.Ray(**options)


def test_executors_have_their_own_workers(tmp_path):
    with pytest.raises(ValueError, match="beside `executor`"):
        al.search(Linear(), evaluations=2, run=tmp_path / "run", workers=2, executor=al.Ray(), **SMALL)
    with pytest.raises(TypeError, match="`executor` is a str"):
        al.search(Linear(), evaluations=2, run=tmp_path / "run", executor="ray", **SMALL)


def driver(folder, options="workers=2", environment=None):
    """A search in a process of its own, and the number of its trainings once it has made some."""
    script = folder / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import autoloss as al
        from tasks import SMALL
        from test_ray import Slow

        if __name__ == "__main__":
            al.search(
                Slow({str(folder)!r}), evaluations=500, run={str(folder / "run")!r},
                executor=al.Ray({options}), **SMALL,
            )
        """)
    )
    environment = {**os.environ, **(environment or {})}
    process = subprocess.Popen([sys.executable, script], start_new_session=True, env=environment)
    deadline = time.monotonic() + 180
    trained = 0
    while trained < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.3)
        if (folder / "run" / "run.sqlite").exists():
            trained = al.open(folder / "run").counts["trained"]
    if trained < 3:
        process.kill()
    assert trained >= 3
    return process, trained


def gone_on_with(folder, task, trained):
    """Checks that a run has so many trainings, and more when it is gone on with."""
    kept = al.open(folder).counts["trained"]
    assert kept >= trained
    resumed = al.open(folder).resume(task, evaluations=kept + 3, progress=False)
    assert np.isclose(resumed.counts["trained"], kept + 3, atol=1)


def test_a_driver_that_is_killed_loses_no_result(tmp_path, home):
    process, trained = driver(tmp_path)
    process.kill()
    process.wait()
    gone_on_with(tmp_path / "run", Slow(tmp_path), trained)


def test_a_head_that_is_killed_loses_no_result(tmp_path, home):
    from ray.cluster_utils import Cluster

    # This process stays out of the cluster: Ray ends those that lose its head.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    soon = {"RAY_gcs_rpc_server_reconnect_timeout_s": "3"}
    process, trained = driver(tmp_path, f"address={cluster.address!r}", soon)
    try:
        cluster.head_node.kill_gcs_server()
        assert process.wait(120) != 0
    finally:
        process.kill()
        cluster.shutdown()
    gone_on_with(tmp_path / "run", Slow(tmp_path), trained)


def test_a_full_disk_loses_no_result(tmp_path):
    script = f"""
import resource, sys
sys.path.insert(0, {str(HERE)!r})
import autoloss as al
from tasks import SMALL, Linear
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
al.search(Linear(), evaluations=5000, run={str(tmp_path / "run")!r}, **SMALL)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 1, ended.stderr
    assert "OSError" in ended.stderr
    gone_on_with(tmp_path / "run", Linear(), 1)
