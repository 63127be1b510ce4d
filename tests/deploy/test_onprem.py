"""The on-premises setup, with network namespaces as machines; one of them is killed during a search."""

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
TRIALS, EPOCHS = 6, 90
HEAD, FIRST, SECOND, LATE = 2, 3, 4, 5
"""Numbers of the hosts; the laptop is 1."""

# Ray notices a dead node within seconds instead of a minute.
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
    """Return `deploy/onprem.yaml` with the test's addresses, user and key, and an existing environment."""
    text = (ROOT / "deploy/onprem.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    config["max_workers"] = 3
    config["provider"] |= {
        "head_ip": hosts.address(HEAD),
        "worker_ips": [hosts.address(number) for number in (FIRST, SECOND, LATE)],
    }
    config["auth"] = {"ssh_user": "root", "ssh_private_key": "~/.ssh/id_ed25519"}
    install_commands = [command for command in config["setup_commands"] if "make venv" in command]
    assert len(install_commands) == 1
    config["setup_commands"] = [
        f"ln -sfn {ROOT}/.venv ~/genre-search/.venv" if command in install_commands else command
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
    """A laptop, a head and two workers that ``ray up`` started; a third is configured only."""
    missing_programs = missing()
    if missing_programs:
        pytest.skip(missing_programs)
    shared = tmp_path_factory.mktemp("hosts")
    with hosts(shared, _PROFILE.format(bin=Path(sys.executable).parent)) as made:
        write_cache(shared / "cache", make_rows(tracks=300, segments=10, spread=8.0))
        up = {
            name: made.boot(name, number)
            for name, number in (("laptop", 1), ("head", HEAD), ("first", FIRST), ("second", SECOND))
        }
        up["first"].run("echo 'export CORES=2' >> ~/.bashrc")
        (shared / "onprem.yaml").write_text(configuration(made))
        done = up["laptop"].run(
            f"ray get-auth-token --generate >/dev/null && cd {ROOT} && "
            f"ray up --yes --no-config-cache --disable-usage-stats {SHARED}/onprem.yaml",
            timeout=400,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        # The workers join after the head; the search must find all of them.
        wait_until(
            lambda: "cores 4.0" in up["head"].run(f"python -c '{_CORES}'").stdout,
            what="a head and two workers with four cores in all",
            every=0.5,
        )
        yield made, up


def actors(host: Host) -> int:
    """Return the number of trials that run on a host."""
    return sum(line.startswith("ray::") and "Trainable" in line for line in host.processes())


class Watch:
    """Records the epoch of each trial's checkpoint over time."""

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


def test_a_search_survives_the_loss_of_a_worker_and_uses_a_late_one(
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
        search = (
            f"python -m search.run --family features_mlp --address auto --cache {SHARED}/cache"
            f" --runs {SHARED}/runs --name {RUN} --trials {TRIALS} --max-epochs {EPOCHS} --folds 3"
            f" --scheduler none --searcher random --set epochs={EPOCHS} --set batch_size=5 --set layers=1"
        )
        submit = f"exec ray job submit --address http://127.0.0.1:8265 -- {search}"
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
        running_trials = watch.seen[-1]
        first.kill()
        late = made.boot("late", LATE)
        wait_until(
            lambda: actors(late) > 0, what="a trial on the late node", seconds=300, alive=job, every=0.5
        )
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
    # The trials of the killed host continued elsewhere, from their checkpoints.
    nodes = {trial.number: trial.user_attrs["node"] for trial in open_study(run).trials}
    assert {nodes[int(number)] for number in running_trials} <= {"head", "second", "late"}, nodes
    assert "late" in nodes.values()
    for number in running_trials:
        course = [epochs[number] for epochs in watch.seen if number in epochs]
        assert course == sorted(course)


def test_ray_down_stops_the_cluster(cluster: tuple[Hosts, dict[str, Host]]) -> None:
    _, up = cluster
    done = up["laptop"].run(f"ray down --yes {SHARED}/onprem.yaml", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(
        lambda: not any("raylet" in line or "gcs_server" in line for line in up["head"].processes()),
        what="the head's Ray stopped",
        every=0.5,
    )
