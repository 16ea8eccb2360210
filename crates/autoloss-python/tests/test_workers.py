"""Trainings in processes, and the end of a search by a signal."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from runs import searched
from tasks import Linear

import autoloss as al

HERE = Path(__file__).parent


class Endless(Linear):
    """Trains for ever, with or without reports."""

    reports = True

    def evaluate(self, loss, job):
        step = 0
        while True:
            time.sleep(0.001)
            if self.reports:
                job.report(step)
            step += 1


@pytest.mark.parametrize("reports", [True, False])
def test_ctrl_c_ends_a_search_in_order(tmp_path, reports):
    task = type("Endless", (Endless,), {"reports": reports})()
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, task)
    assert time.monotonic() - begun < 8
    finite = type("Endless", (Linear,), {})()
    assert al.open(tmp_path / "run").resume(finite, evaluations=2, progress=False).counts["trained"] == 2


class Dying(Linear):
    """Ends its process at the third candidate that it sees, once."""

    def __init__(self, mark):
        self.mark = str(mark)

    def evaluate(self, loss, job):
        print("what trainings print does no harm")
        if "log" in str(loss) and not os.path.exists(self.mark) and job.schedule == "proxy":
            Path(self.mark).touch()
            os._exit(3)
        return super().evaluate(loss, job)


def test_workers_are_processes_and_lost_trainings_are_made_again(tmp_path):
    run = searched(tmp_path, Dying(tmp_path / "mark"), workers=2)
    assert (tmp_path / "mark").exists()
    assert run.counts["trained"] == 6
    assert run.counts["failed"] == run.counts["lost"] == 0


class Sleeping(Linear):
    def evaluate(self, loss, job):
        if "exp" in str(loss):
            time.sleep(1000)
        return super().evaluate(loss, job)


def test_trainings_of_processes_have_a_limit_of_time(tmp_path):
    settings = {"start": ["exp(-(y * yhat))"], "start_screened": False, "time_limit": 0.5}
    run = searched(tmp_path, Sleeping(), evaluations=1, final_losses=0, **settings)
    assert run.counts["lost"] == 1
    row = next(row for row in run._store.candidates() if row["fate"] == "lost")
    assert "longer than search.trial_time" in row["reason"]


def test_tasks_that_cannot_be_pickled_are_named(tmp_path):
    task = Linear()
    task.loader = lambda: None
    with pytest.raises(TypeError, match="the task Linear cannot be pickled.*or use workers=1"):
        searched(tmp_path, task, workers=2)


def test_tasks_of_a_prompt_are_named_before_processes_start(tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import autoloss as al
from tasks import SMALL, Linear
class Own(Linear): pass
al.search(Own(), evaluations=2, workers=2, run={str(tmp_path / "run")!r}, **SMALL)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "the class Own is defined in a notebook or a prompt" in result.stderr
    assert not (tmp_path / "run").exists()


def test_scripts_with_several_workers_need_no_module_of_their_own(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        import autoloss as al
        from tasks import SMALL, Linear

        class Own(Linear):
            pass

        if __name__ == "__main__":
            run = al.search(Own(), evaluations=3, workers=2, run={str(tmp_path / "run")!r}, **SMALL)
            print(run.counts["trained"], run.info["task"])
        """)
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "3 Own", result.stderr


def test_ctrl_c_ends_the_processes_too(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, sys, time
        sys.path.insert(0, {str(HERE)!r})
        import autoloss as al
        from tasks import SMALL, Linear

        class Endless(Linear):
            def evaluate(self, loss, job):
                open(os.path.join({str(tmp_path)!r}, f"{{os.getpid()}}.pid"), "w").close()
                while True:
                    time.sleep(0.01)

        if __name__ == "__main__":
            al.search(Endless(), evaluations=3, workers=2, run={str(tmp_path / "run")!r}, **SMALL)
        """)
    )
    search = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True)
    begun = time.monotonic()
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() - begun < 60:
        time.sleep(0.05)
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(workers) == 2
    # As a terminal does: to the search and its workers.
    os.killpg(search.pid, signal.SIGINT)
    _, errors = search.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert search.returncode != 0
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    assert al.open(tmp_path / "run").counts["trained"] == 0
