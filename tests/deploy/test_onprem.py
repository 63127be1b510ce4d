"""The README's way over machines of one's own, which are network namespaces; one of them dies mid-run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from search.storage.run_folder import RunFolder
from search.storage.study import open_study
from tests.support.hosts import SHARED, Host, Hosts, hosts, missing
from tests.support.paths import ROOT
from tests.support.rows import make_rows, write_cache
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

RUN = "onprem"
TRIALS, EPOCHS, HELD = 6, 45, 25
"""Trials wait at epoch HELD, seven seconds after their start and one after a checkpoint, for a late host."""
HEAD, FIRST, SECOND, LATE = 2, 3, 4, 5
"""Numbers of the hosts; the laptop is 1."""

# A dead node is noticed in seconds, not in a minute; a small machine holds four stores of objects.
_PROFILE = """
export RAY_health_check_initial_delay_ms=2000 RAY_health_check_period_ms=1000
export RAY_health_check_failure_threshold=3 RAY_health_check_timeout_ms=5000
export RAY_worker_niceness=0 RAY_UP_enable_autoscaler_v2=0 AUTOSCALER_UPDATE_INTERVAL_S=2
export RAY_AUTH_MODE=token TF_CPP_MIN_LOG_LEVEL=3 PATH={bin}:$PATH
"""

_CORES = """
import ray
ray.init("auto", log_to_driver=False, logging_level="error")
print("cores", ray.cluster_resources()["CPU"])
"""

_WATCH = """
import sys, time, zipfile, json, pathlib
import numpy as np
folder = pathlib.Path(sys.argv[1])
while True:
    epochs = {}
    for path in folder.glob("checkpoints/*.npz"):
        try:
            with np.load(path) as arrays:
                epochs[path.stem] = json.loads(arrays["progress"].tobytes())["epoch"]
        except (OSError, ValueError, zipfile.BadZipFile):
            continue
    print(json.dumps(epochs), flush=True)
    time.sleep(0.5)
"""


def configuration(hosts: Hosts) -> str:
    """`deploy/onprem.yaml` with other addresses, user and key, and a virtual environment that is there."""
    text = (ROOT / "deploy/onprem.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    config["max_workers"] = 3
    config["provider"] |= {
        "head_ip": hosts.address(HEAD),
        "worker_ips": [hosts.address(number) for number in (FIRST, SECOND, LATE)],
    }
    config["auth"] = {"ssh_user": "root", "ssh_private_key": "~/.ssh/id_ed25519"}
    made = [command for command in config["setup_commands"] if "make venv" in command]
    assert len(made) == 1
    config["setup_commands"] = [
        f"ln -sfn {ROOT}/.venv ~/genre-search/.venv" if command in made else command
        for command in config["setup_commands"]
    ]
    config["head_setup_commands"] = []
    for key, cores in (("head_start_ray_commands", 1), ("worker_start_ray_commands", "${CORES:-1}")):
        *before, start = config[key]
        assert "ray start" in start
        config[key] = [*before, f"{start} --num-cpus={cores} --object-store-memory=100000000"]
    return yaml.safe_dump(config)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hosts, dict[str, Host]]]:
    """A laptop, and a head and two workers that ``ray up`` started; a third worker is named but not there."""
    lacking = missing()
    if lacking:
        pytest.skip(lacking)
    shared = tmp_path_factory.mktemp("hosts")
    with hosts(shared, _PROFILE.format(bin=Path(sys.executable).parent)) as made:
        write_cache(shared / "cache", make_rows())
        up = {
            name: made.boot(name, number)
            for name, number in (("laptop", 1), ("head", HEAD), ("first", FIRST), ("second", SECOND))
        }
        up["first"].run("echo 'export CORES=2' >> ~/.bashrc")
        (shared / "onprem.yaml").write_text(configuration(made))
        result = up["laptop"].run(
            f"ray get-auth-token --generate >/dev/null && cd {ROOT} && "
            f"ray up --yes --no-config-cache --disable-usage-stats {SHARED}/onprem.yaml",
            timeout=400,
        )
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        # The workers join some time after the head: the search is to find all of them there.
        wait_until(
            lambda: "cores 4.0" in up["head"].run(f"python -c '{_CORES}'").stdout,
            what="a head and two workers with four cores in all",
            every=0.5,
        )
        yield made, up


def actors(host: Host) -> int:
    """How many trials the host has at work."""
    return sum(line.startswith("ray::GenreTrial") for line in host.processes())


class Watch:
    """Epoch of each trial's checkpoint, as time passes."""

    def __init__(self, host: Host, folder: str) -> None:
        script = host.command(f"exec python -c '{_WATCH}' {folder}")
        self._process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
        self.seen: list[dict[str, int]] = [{}]
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.seen.append(json.loads(line))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def test_a_search_outlives_a_worker_and_uses_one_that_comes_late(
    cluster: tuple[Hosts, dict[str, Host]],
) -> None:
    made, up = cluster
    laptop, first = up["laptop"], up["first"]
    dashboard = subprocess.Popen(
        laptop.command(f"exec ray dashboard --no-config-cache {SHARED}/onprem.yaml"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    job = watch = None
    try:
        wait_until(
            lambda: laptop.run("curl -s -o /dev/null http://127.0.0.1:8265").returncode == 0,
            what="the dashboard's tunnel",
            alive=dashboard,
            every=0.5,
        )
        hold = made.shared / "hold"
        hold.write_text(str(HELD))
        search = (
            f"cd {ROOT} && EPOCH_SECONDS=0.3 HOLD_FILE={SHARED}/hold python -m tests.support.softmax"
            f" --family softmax --address auto --cache {SHARED}/cache"
            f" --runs {SHARED}/runs --name {RUN} --trials {TRIALS} --max-epochs {EPOCHS}"
            f" --scheduler none --searcher random --set epochs={EPOCHS}"
        )
        submit = f"exec ray job submit --address http://127.0.0.1:8265 -- bash -c '{search}'"
        job = subprocess.Popen(
            laptop.command(submit), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        watch = Watch(laptop, f"{SHARED}/runs/{RUN}")
        wait_until(
            lambda: len(watch.seen[-1]) >= 3 and actors(first) > 0,
            what="a trial with a checkpoint on each of three hosts",
            seconds=400,
            alive=job,
            every=0.5,
        )
        begun = watch.seen[-1]
        first.kill()
        late = made.boot("late", LATE)
        wait_until(
            lambda: actors(late) > 0, what="a trial on the late node", seconds=300, alive=job, every=0.5
        )
        hold.unlink()
        output = job.communicate(timeout=600)[0]
        assert job.returncode == 0, output
    finally:
        for process in (dashboard, job):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        if watch is not None:
            watch.close()
    run = RunFolder.at(made.shared / "runs", RUN)
    trials = run.trials()
    assert len(trials) == TRIALS
    assert (trials["status"] == "COMPLETE").all(), trials
    expected = trials.set_index("trial_id")["config.epochs"]
    epochs = run.history().groupby("trial_id")["epoch"].agg(["count", "max"])
    assert epochs.eq(expected, axis=0).all(axis=None), epochs
    # A trial that was at work when its host died ended elsewhere, and went on from where its checkpoint was.
    nodes = {trial.number: trial.user_attrs["node"] for trial in open_study(run).trials}
    assert {nodes[int(number)] for number in begun} <= {"head", "second", "late"}, nodes
    assert "late" in nodes.values()
    for number in begun:
        course = [seen[number] for seen in watch.seen if number in seen]
        assert course == sorted(course)


def test_ray_down_ends_it(cluster: tuple[Hosts, dict[str, Host]]) -> None:
    _, up = cluster
    result = up["laptop"].run(f"ray down --yes {SHARED}/onprem.yaml", timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    wait_until(
        lambda: not any("raylet" in line or "gcs_server" in line for line in up["head"].processes()),
        what="the head's Ray stopped",
        every=0.5,
    )
