"""Searches on clusters of Ray that run on this machine, with workers that are killed and nodes that come and go."""

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

pytest.importorskip("ray")

HERE = Path(__file__).parent


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
    """Each evaluation has one outcome, and the score that its loss has anywhere."""
    table = run.to_pandas()
    trained = table[table.fate.isin(["scored", "stopped", "failed", "lost"])]
    assert len(trained) == evaluations
    assert (trained.fate == "scored").all(), trained.fate.value_counts()
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


def test_a_driver_that_is_killed_loses_no_result(tmp_path, home):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import autoloss as al
        from tasks import SMALL
        from test_ray import Slow

        if __name__ == "__main__":
            al.search(
                Slow({str(tmp_path)!r}), evaluations=500, run={str(tmp_path / "run")!r},
                executor=al.Ray(workers=2), **SMALL,
            )
        """)
    )
    driver = subprocess.Popen([sys.executable, script], start_new_session=True)
    deadline = time.monotonic() + 60
    trained = 0
    while trained < 4 and time.monotonic() < deadline:
        time.sleep(0.3)
        if (tmp_path / "run" / "run.sqlite").exists():
            trained = al.open(tmp_path / "run").counts["trained"]
    driver.kill()
    driver.wait()
    assert trained >= 4
    resumed = al.open(tmp_path / "run").resume(Slow(tmp_path), evaluations=trained + 3, progress=False)
    assert np.isclose(resumed.counts["trained"], trained + 3, atol=1)
