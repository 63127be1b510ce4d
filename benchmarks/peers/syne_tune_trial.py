"""A trial of Syne Tune: a script that reads its configuration from its arguments and reports each epoch."""

from __future__ import annotations

import argparse
import uuid
from pathlib import Path

from syne_tune import Reporter

from benchmarks.peers.job import Job
from benchmarks.peers.network import train
from benchmarks.peers.space import SPACE


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path)
    parser.add_argument("--seed", type=int)
    for parameter in SPACE:
        parser.add_argument(f"--{parameter.name}", type=parameter.parse)
    arguments, _ = parser.parse_known_args()
    job, reporter, name = Job(arguments.job, arguments.seed), Reporter(), uuid.uuid4().hex[:8]

    def report(epoch: int, accuracy: float) -> None:
        job.report(name, epoch, accuracy)
        reporter(epoch=epoch, accuracy=accuracy)

    train(job.arrays(), vars(arguments), job.seed, report)


if __name__ == "__main__":
    main()
