"""The examples, cut short."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize(("name", "usual"), [("digits", "cross_entropy"), ("diabetes", "mse"), ("vessels", "cross_entropy"), ("clicks", "cross_entropy")])
def test_examples_run_and_compare(tmp_path, name, usual):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    command = [sys.executable, EXAMPLES / f"{name}.py", "--evaluations", "2", "--run", tmp_path / "run"]
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
    assert scores and min(scores) > 0.8, result.stdout
