"""A run for people: pictures, its page, and the fidelity of its proxy."""

import sqlite3

import numpy as np
import pytest
from tasks import SMALL, Linear

import autoloss as al


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return al.search(Linear(), run=folder, evaluations=8, **SMALL)


@pytest.fixture
def axes():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    figure, axes = pyplot.subplots()
    yield axes
    pyplot.close(figure)


def test_scores_are_drawn_with_the_best_so_far(run, axes):
    assert run.plot(ax=axes) is axes
    points, best = axes.lines[0].get_ydata(), axes.lines[1].get_ydata()
    assert len(points) == run.counts["trained"] - run.counts["failed"]
    assert (np.diff(best) >= 0).all()
    assert best[-1] == max(points)


def test_the_funnel_has_a_bar_for_each_fate(run, axes):
    run.plot("funnel", axes)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    widths = {label: bar.get_width() for label, bar in zip(labels, axes.patches, strict=True)}
    assert widths["screened"] == run.counts["screened"]
    assert widths["trained"] == 8
    assert all(widths.values())


def test_the_best_loss_has_a_curve_for_each_target(run, axes):
    run.plot("loss", axes)
    assert [line.get_label() for line in axes.lines] == ["y = 0", "y = 1"]
    best = run.best["classes"]
    for line, y in zip(axes.lines, (0.0, 1.0), strict=True):
        p, value = line.get_data()
        assert (min(p), max(p)) == (0, 1)
        middle = len(p) // 2
        expected = best.value(np.array([[p[middle]]]), np.array([[y]]))
        assert value[middle] == pytest.approx(expected, rel=1e-6, abs=1e-9)


class Numbers(al.Task):
    """A branch of numbers whose losses are scored by their size: nothing is trained."""

    name = "numbers"
    branches = [al.Branch("depth", channels=2, activation="none")]
    baselines = ["mse"]

    def screening_samples(self, count, seed):
        rng = np.random.default_rng(seed)
        return [al.Sample(rng.normal(size=(16, 2)), rng.normal(size=(16, 2))) for _ in range(count)]

    def metric(self, prediction, target):
        return 1 / (1 + np.abs(prediction["depth"] - target["depth"]).mean())

    def evaluate(self, loss, job):
        return 1 / (1 + len(str(loss)))


def test_the_curve_of_a_branch_of_numbers_goes_beyond_probabilities(tmp_path, axes):
    study = al.Study(Numbers(), run=tmp_path / "run", seed=0, evaluations=1, final_losses=0)
    while trial := study.ask():
        study.tell(trial, Numbers().evaluate(trial.loss, None))
    folder = tmp_path / "run"
    for number, found in enumerate((study.run, al.open(folder))):
        axes.clear()
        found.plot("loss", axes)
        assert axes.get_xlabel() == "yhat", number
        assert (axes.lines[0].get_xdata().min(), axes.lines[0].get_xdata().max()) == (-1, 2)
    # The page is written without the task: by what the run says of its branches.
    page = (tmp_path / "page.html", tmp_path / "guessed.html")
    study.run.report(page[0])
    assert not study.run._store.is_probabilities("depth")
    with sqlite3.connect(folder / "run.sqlite") as file:
        file.execute("DELETE FROM branch")
    assert study.run._store.is_probabilities("depth")
    study.run.report(page[1])
    assert page[0].read_text() != page[1].read_text()


def test_full_trainings_are_drawn_against_the_proxy(run, axes):
    run.plot("fidelity", axes)
    names = {text.get_text() for text in axes.texts}
    assert "cross_entropy" in names
    assert any(name.startswith("#") for name in names)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["search set", "test set"]


def test_a_picture_that_is_not_there_is_named(run, tmp_path):
    with pytest.raises(ValueError, match="`kind` is 'curve', expected one of 'scores', 'funnel', 'loss', 'fidelity'"):
        run.plot("curve")


def test_the_page_is_whole(run, tmp_path):
    assert run.report() == str(run.path) + "/report.html"
    path = tmp_path / "page.html"
    assert run.report(path) == str(path)
    page = path.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "Linear" in page
    assert "cross_entropy" in page
    assert list(tmp_path.iterdir()) == [path]


def test_fidelity_compares_the_two_rankings(run):
    found = run.fidelity(found=5, losses={n: f"zoo:{n}" for n in ("focal", "mse", "l1", "dice")}, progress=False)
    names = [each["name"] for each in found["losses"]]
    assert {"cross_entropy", "focal", "mse", "l1", "dice"} <= set(names)
    assert len(names) == len(set(names)) == 10
    scores = [each["full"] for each in found["losses"]]
    assert scores == sorted(scores, reverse=True)
    each = found["losses"][0]
    assert each["full"] == pytest.approx(np.mean([t["score"] for t in each["full_trainings"]]))
    seeds = [{t["seed"] for t in each[f"{kind}_trainings"]} for kind in ("proxy", "full")]
    assert [len(some) for some in seeds] == [1, 2]
    assert not seeds[0] & seeds[1]
    assert {each["kind"] for each in found["losses"]} == {"hand-written", "given"}
    if found["spearman"] is not None:
        low, high = found["spearman_interval"]
        assert -1 <= low <= found["spearman"] <= high <= 1
        assert found["regret"] >= 0


def test_fidelity_needs_a_panel(run):
    with pytest.raises(ValueError, match="4 losses, expected at least 8"):
        run.fidelity(found=3, progress=False)
    with pytest.raises(ValueError, match="`seeds` is 0"):
        run.fidelity(seeds=0, progress=False)
    with pytest.raises(ValueError, match="two losses have one name"):
        run.fidelity({"cross_entropy": "zoo:mse"}, progress=False)
    with pytest.raises(TypeError, match="expected task="):
        al.open(run.path).fidelity()
