"""The short way: TorchTask."""

import pickle

import numpy as np
import pytest
from tasks import SMALL

import autoloss as al

torch = pytest.importorskip("torch")


def images(seed, count=24):
    generator = torch.Generator().manual_seed(seed)
    target = torch.zeros(count, 8, 8, dtype=torch.long)
    for number in range(count):
        row, column = torch.randint(0, 5, (2,), generator=generator)
        target[number, row : row + 3, column : column + 3] = 1
    x = target[:, None] + 0.7 * torch.randn(count, 1, 8, 8, generator=generator)
    target[:, 0] = 255
    return x, target


class Squares(al.TorchTask):
    """Squares in noise, by a convolution; boundary F1 in screening, overlap as the metric."""

    num_classes = 2
    ignore_index = 255
    baselines = ["cross_entropy"]
    screening_metric = al.metrics.miou
    steps = 15
    full_steps = 20

    def model(self):
        return torch.nn.Conv2d(1, 2, 3, padding=1)

    def train_batches(self, seed):
        for part in range(3):
            x, target = images(100 * seed + part)
            yield x, target

    def search_batches(self):
        return [images(1_000_001), images(1_000_002)]

    def test_batches(self):
        return [images(2_000_001)]

    def metric(self, prediction, target):
        return al.metrics.miou(prediction, target)

    def optimizer(self, parameters):
        return torch.optim.SGD(parameters, lr=0.5)


class Line(al.TorchTask):
    """A line through points; no classes."""

    baselines = ["mse"]
    steps = 15

    def model(self):
        return torch.nn.Linear(2, 1)

    def points(self, seed):
        x = torch.randn(32, 2, generator=torch.Generator().manual_seed(seed))
        return x, x @ torch.tensor([[1.0], [-2.0]]) + 0.5

    def train_batches(self, seed):
        yield self.points(seed)

    def search_batches(self):
        yield self.points(1_000_000)

    def test_batches(self):
        yield self.points(2_000_000)

    def metric(self, prediction, target):
        assert isinstance(prediction, np.ndarray)
        return 1 / (1 + np.abs(prediction - target).mean())


def searched(tmp_path, task, **settings):
    return al.search(task, run=tmp_path / "run", **{**SMALL, "evaluations": 3, "seed": 1, **settings})


def test_segmentation_with_ignored_pixels(tmp_path):
    run = searched(tmp_path, Squares())
    assert run.counts["trained"] == 3
    assert run.counts["failed"] == 0
    assert run.best._of_task[0].ignore_index == 255
    assert {len(found["trainings"]) for found in run.comparisons} == {2}
    criterion = run.recommended.torch()
    x, target = images(0)
    assert criterion(Squares().model()(x), target).isfinite()


def test_regression_without_classes(tmp_path):
    run = searched(tmp_path, Line(), step_size=None, steps=200)
    assert run.counts["trained"] == 3
    assert run.best._of_task[0].activation == "none"
    # Steps in proportion to the distance of the numbers from their targets, here 1 to 3.
    settings = run._store.info()["settings"]
    assert 0.03 < float(settings.split("step_size = ")[1].split()[0]) < 0.09
    names = {found["name"]: found["mean"] for found in run.comparisons}
    assert names["mse"] > 0.2


def test_workers_train_torch_tasks(tmp_path):
    run = searched(tmp_path, Squares(), workers=2, final_losses=0)
    assert run.counts["trained"] == 3
    assert run.counts["failed"] == run.counts["lost"] == 0


def test_the_seconds_of_trainings_are_estimated_by_their_steps():
    task = Squares()
    proxy, full = task.expected_seconds("proxy"), task.expected_seconds("full")
    assert 0 < proxy < full < 60
    assert task.expected_seconds("proxy") == proxy


def test_scores_on_the_way_prune(tmp_path):
    run = searched(tmp_path, Squares(), evaluations=8, final_losses=0, rungs=[0.4], rung_share=0.5)
    assert run.counts["trained"] == 8
    assert run.counts["pruned"] >= 1


def changed(base=Squares, **changes):
    return type("Changed", (base,), changes)()


@pytest.mark.parametrize(
    ("task", "error", "text"),
    [
        (changed(model=lambda self: 3), TypeError, "Changed.model returned a int, expected a torch.nn.Module"),
        (
            changed(model=lambda self: torch.nn.Conv2d(1, 3, 1)),
            ValueError,
            r"shape \(1?24?, 3, 8, 8\), expected \(N, 2",
        ),
        (
            changed(model=lambda self: torch.nn.Flatten(0)),
            TypeError,
            r"Changed.model gives \(1536,\), expected a tensor",
        ),
        (changed(train_batches=lambda self, seed: []), ValueError, "Changed.train_batches gave no batches"),
        (changed(train_batches=lambda self, seed: [1]), TypeError, "gave a int, expected pairs"),
        (changed(test_batches=lambda self: []), ValueError, "Changed.test_batches gave no batches"),
        (changed(search_batches=lambda self: 3), TypeError, "Changed.search_batches returned a int"),
        (changed(search_batches=al.TorchTask.search_batches), TypeError, "no method `search_batches`"),
        (changed(num_classes=0), ValueError, "`channels` is 0"),
    ],
)
def test_wrong_networks_and_batches_are_named_before_the_run(tmp_path, task, error, text):
    with pytest.raises(error, match=text):
        searched(tmp_path, task)
    assert not (tmp_path / "run").exists()


def test_tables_plots_and_pickles_of_a_run(tmp_path):
    run = searched(tmp_path, Squares())
    assert "step_size = 0.05" in run._store.info()["settings"]
    pandas = pytest.importorskip("pandas")
    table = run.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert table.index.name == "id"
    assert len(table) == len(run._store.candidates())
    assert table.score.max() == run.best_score
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    ax = run.plot()
    assert ax.get_ylabel() == "metric"
    assert len(ax.lines) == 3
    assert pickle.loads(pickle.dumps(run.best)) == run.best
