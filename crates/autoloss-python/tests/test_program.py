"""Programs as tasks: what they score and train, what is refused, and the built-in tasks of `autoloss`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tasks import SMALL, Linear

import autoloss as al
from autoloss import _bridge

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "crates/autoloss-program/examples/rare_class.py"
COMMAND = [sys.executable, str(EXAMPLE)]

#: The program of built-in tasks.
AUTOLOSS = os.environ.get("AUTOLOSS_PROGRAM") or shutil.which("autoloss")

#: A task that trains in a fraction of a second.
TINY = {
    "digits.train": 32,
    "digits.val": 8,
    "search_images": 4,
    "val_images": 4,
    "training.steps": 3,
    "full.training.steps": 4,
    "training.batch": 2,
}
UNSCREENED = {"screening.rejection": False, "screening.samples": 2, "search.initial": 4, "search.final_losses": 0}


def changed(folder, *replacements):
    """The example with some of its text replaced, as a command."""
    text = EXAMPLE.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (folder / "program.py").write_text(text)
    return [sys.executable, str(folder / "program.py")]


def scores(run):
    table = run.to_pandas()
    return table[table.fate == "scored"][["formula", "score"]].values.tolist()


def test_a_program_is_searched_for_compared_and_gone_on_with(tmp_path):
    task = al.Program(COMMAND)
    run = al.search(task, evaluations=5, run=tmp_path / "run", **SMALL)
    assert (run.info["task"], run.info["metric"]) == ("rare-class", "macro-f1")
    assert run.counts["trained"] == 5
    assert {c["name"] for c in run.comparisons} >= {"cross_entropy", "focal"}
    assert run.best.code("pytorch")
    more = al.open(tmp_path / "run").resume(task, evaluations=6, progress=False)
    assert more.counts["trained"] == 6
    compared = more.compare(["zoo:focal", "zoo:dice"], seeds=1, progress=False)
    assert all(0 < c["mean"] <= 1 for c in compared)


def test_workers_of_a_program_find_what_one_finds(tmp_path):
    one = al.search(al.Program(COMMAND), evaluations=4, run=tmp_path / "one", **{**SMALL, "final_losses": 0})
    two = al.search(al.Program(COMMAND), evaluations=4, run=tmp_path / "two", workers=2, **{**SMALL, "final_losses": 0})
    # Other candidates may come first; the same loss has the same score anywhere.
    known = dict(scores(one))
    assert two.counts["trained"] == 4
    shared = [(formula, score) for formula, score in scores(two) if formula in known]
    assert shared
    assert all(known[formula] == score for formula, score in shared)


def test_a_study_asks_for_trainings_of_a_program(tmp_path):
    small = {name: value for name, value in SMALL.items() if name != "progress"}
    study = al.Study(al.Program(COMMAND), run=tmp_path / "run", evaluations=2, **small)
    trial = study.ask()
    assert trial.loss.branches == ("class",)
    assert study.tell(trial, 0.5)


def test_settings_of_a_program_come_below_those_of_the_call(tmp_path):
    own = '"settings": {"search": {"initial": 3, "population": 77}}, "seconds"'
    task = al.Program(changed(tmp_path, ('"seconds"', own)))
    run = al.search(task, evaluations=3, run=tmp_path / "run", **{**SMALL, "initial": 2, "final_losses": 0})
    settings = run._store.info()["settings"]
    assert "population = 77" in settings
    assert "initial = 2" in settings
    wrong = changed(tmp_path, ('"seconds"', '"settings": {"search": {"initail": 3}}, "seconds"'))
    with pytest.raises(al.SearchFailed, match="its settings of a search: .*did you mean `initial`"):
        al.search(al.Program(wrong), evaluations=3, run=tmp_path / "wrong", **SMALL)


@pytest.mark.parametrize(
    ("command", "error", "expected"),
    [
        ("no-such-program --x", al.SearchFailed, "no-such-program cannot be started"),
        ("sh -c 'echo broken >&2; exit 3'", al.SearchFailed, "broken"),
        ("a 'b", ValueError, "cannot be split into words"),
        ("", ValueError, "`command` is empty"),
    ],
)
def test_a_command_that_is_no_task_is_named(tmp_path, command, error, expected):
    with pytest.raises(error, match=expected):
        al.search(al.Program(command), evaluations=2, run=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_a_program_of_another_version_or_without_samples_is_refused(tmp_path):
    other = al.Program(changed(tmp_path, ("VERSION = 3", "VERSION = 2")))
    with pytest.raises(al.SearchFailed, match="version 2 of the messages, expected 3"):
        al.search(other, evaluations=2, run=tmp_path / "run", **SMALL)
    few = al.Program(changed(tmp_path, ('message["count"]', "1")))
    with pytest.raises(al.SearchFailed, match="it gave 1 screening samples, expected 2"):
        al.search(few, evaluations=2, run=tmp_path / "run", **SMALL)


def test_options_of_built_in_tasks_need_one():
    with pytest.raises(TypeError, match="--metric is of built-in tasks"):
        al.Program("python3 x.py", metric="miou")


def test_a_worker_of_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_bridge, "__version__", "0.0.0")
    with pytest.raises(al.SearchFailed, match="the search is of autoloss 0.0.0, this worker of .*install the same"):
        al.search(Linear(), evaluations=2, run=tmp_path / "run", workers=2, **SMALL)


class OfProcess(Linear):
    """Has other data in each process."""

    def fingerprint(self):
        return f"data of {os.getpid()}"


def test_a_worker_with_other_data_is_refused(tmp_path):
    with pytest.raises(al.SearchFailed, match="the task is another one here: .*data of"):
        al.search(OfProcess(), evaluations=2, run=tmp_path / "run", workers=2, **SMALL)


@pytest.mark.skipif(AUTOLOSS is None, reason="needs the program autoloss: AUTOLOSS_PROGRAM=target/release/autoloss")
class TestBuiltIn:
    """Tasks of the program `autoloss`."""

    def test_a_built_in_task_is_searched_as_by_the_program(self, tmp_path):
        own = {f"task.{name}": value for name, value in TINY.items()}
        flags = [f"{name}={str(value).lower()}" for name, value in {**own, **UNSCREENED}.items()]
        words = ["search", "--evaluations", "4", "--workers", "1", "--run", str(tmp_path / "rust")]
        words += [word for flag in flags for word in ("--set", flag)]
        subprocess.run([AUTOLOSS, *words], check=True, capture_output=True)
        task = al.Program(AUTOLOSS, task="digits", settings={**own, **UNSCREENED})
        run = al.search(task, evaluations=4, run=tmp_path / "python", progress=False)
        assert run.info["metric"] == "miou"
        assert scores(run) == scores(al.open(tmp_path / "rust"))

    def test_branches_of_boxes_have_their_overlaps(self, tmp_path):
        own = {"training.steps": 2, "full.training.steps": 2, "training.batch": 2, "search_images": 2, "val_images": 2}
        settings = {**{f"task.{name}": value for name, value in own.items()}, **UNSCREENED, "search.start": ["zoo"]}
        task = al.Program(AUTOLOSS, task="digits-detection", settings=settings)
        run = al.search(task, evaluations=2, run=tmp_path / "run", progress=False)
        assert run.info["metric"] == "ap"
        best = al.open(tmp_path / "run").best
        assert best.branches == ("rpn_class", "rpn_box", "rcnn_class", "rcnn_box")

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"task": "digit"}, "did you mean `digits`"),
            ({"task": "voc", "data": "no-such-folder"}, "no-such-folder"),
            ({"task": "digits", "settings": {"task.training.stepps": 3}}, "did you mean `steps`"),
        ],
    )
    def test_what_cannot_be_served_is_named(self, tmp_path, options, expected):
        with pytest.raises(al.SearchFailed, match=expected):
            al.search(al.Program(AUTOLOSS, **options), evaluations=2, run=tmp_path / "run", progress=False)
