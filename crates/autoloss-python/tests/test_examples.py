"""The examples, cut short."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from notebook import NOTEBOOK, SCRIPT, notebook

import autoloss as al

EXAMPLES = Path(__file__).parent.parent / "examples"


SHORT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import {module} as example
example.{task}.steps = example.{task}.full_steps = 20
example.main()
"""


@pytest.mark.parametrize(
    ("module", "task", "usual"),
    [
        ("digits", "Digits", "cross_entropy"),
        ("diabetes", "Diabetes", "mse"),
        ("vessels", "Vessels", "cross_entropy"),
        ("clicks", "Clicks", "cross_entropy"),
    ],
)
def test_examples_run_and_compare(tmp_path, module, task, usual):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    script = SHORT.format(module=module, task=task)
    options = ["--evaluations", "2", "--time", "1h", "--run", tmp_path / "run"]
    command = [sys.executable, "-c", script, EXAMPLES, *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "2 trained" in result.stdout
    assert f"{usual}: 0." in result.stdout
    assert "recommended: " in result.stdout


def test_a_found_loss_is_taken_home():
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    command = [sys.executable, EXAMPLES / "take_home.py"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    scores = [float(line.rsplit(" ", 1)[1]) for line in result.stdout.splitlines() if ": accuracy " in line]
    assert scores, result.stdout
    assert min(scores) > 0.8, result.stdout


def test_the_notebook_is_that_of_the_script():
    assert NOTEBOOK.read_text() == notebook(SCRIPT.read_text()), "tests/notebook.py writes it anew"


def test_the_cells_of_the_notebook_run(tmp_path, monkeypatch, capsys):
    for module in ("torch", "sklearn"):
        pytest.importorskip(module)
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    monkeypatch.setattr(al, "search", functools.partial(al.search, evaluations=2, run=tmp_path / "run", progress=False))
    space = {"__name__": "notebook_of_digits"}
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        if "Digits" in space:
            space["Digits"].steps = 20
        exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), space)
        pyplot.close("all")
    shown = capsys.readouterr().out
    assert "2 trained" in shown
    assert "cross_entropy: 0." in shown
    assert "class " in shown
    assert isinstance(space["criterion"], space["torch"].nn.Module)
