"""The files of `deploy/`: their syntax, and what they start."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from autoloss.ray.__main__ import _parser

DEPLOY = Path(__file__).parents[3] / "deploy"

#: Programs that the script of Slurm calls, by name: each notes its number and its words.
STANDING_IN = {
    "scontrol": "printf 'one\\ntwo\\nthree\\n'",
    # The options are Slurm's, the rest is the command.
    "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    "ray": '[ "$1" = status ] || sleep 600',
    "python": 'trap "exit 7" TERM; touch searching; sleep "$SEARCH_SECONDS" & wait; exit 3',
}


@pytest.fixture
def slurm(tmp_path):
    """Starts the script with commands that stand in for Slurm and Ray."""
    for name, text in STANDING_IN.items():
        path = tmp_path / name
        path.write_text(f'#!/usr/bin/env bash\necho "$$ $*" >> {tmp_path}/{name}.log\n{text}\n')
        path.chmod(0o755)

    def start(seconds):
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SEARCH_SECONDS": str(seconds)}
        environment |= {"SLURM_JOB_ID": "9", "SLURM_JOB_NODELIST": "x", "SLURM_JOB_NUM_NODES": "3"}
        return subprocess.Popen([DEPLOY / "slurm.sh", "--task", "voc"], env=environment, cwd=tmp_path)

    return start


def called(folder, name):
    """Number of the process and words of each call."""
    path = folder / f"{name}.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(line.split()[0]), line.split()[1:]) for line in lines]


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_script_is_bash():
    subprocess.run(["bash", "-n", DEPLOY / "slurm.sh"], check=True)


def test_the_script_starts_ray_and_the_search_and_ends_both(tmp_path, slurm):
    assert slurm(0.5).wait(30) == 3
    ((_, words),) = called(tmp_path, "python")
    assert words[:2] == ["-m", "autoloss.ray"]
    arguments = _parser().parse_args(words[2:])
    assert (arguments.task, arguments.run, arguments.resume) == ("voc", "runs/slurm-9", True)
    started = [words for _, words in called(tmp_path, "ray") if words[0] == "start"]
    head, other = sorted(started, key=lambda words: "--head" not in words)
    assert "--head" in head
    assert f"--address={arguments.address}" in other
    assert not any(is_alive(process) for process, _ in called(tmp_path, "ray"))


def test_the_script_passes_the_end_of_its_time_on(tmp_path, slurm):
    script = slurm(60)
    deadline = time.monotonic() + 20
    while not (tmp_path / "searching").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    # The script sets its own trap right after the start of the search.
    time.sleep(0.5)
    script.send_signal(signal.SIGTERM)
    assert script.wait(20) == 7
    assert not any(is_alive(process) for process, _ in called(tmp_path, "ray"))


def test_the_job_of_kubernetes_is_one():
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:3] == ["python", "-m", "autoloss.ray"]
    arguments = _parser().parse_args(words[3:])
    cluster = job["spec"]["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
        assert arguments.data.startswith(mounted["data"])
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
