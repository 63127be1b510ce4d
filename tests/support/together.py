"""``data.prepare`` whose nodes wait for each other; run with ``NODES FOLDER OPTIONS``.

No batch ends before that many nodes have begun one, so that each node gets work, however late it starts. The
nodes signal each other by files in a shared folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest import mock

from data import prepare
from data.pipeline import planner as preparation
from data.pipeline.ray_map import node
from tests.support.waiting import wait_until


def main(count: int, folder: Path, options: list[str]) -> None:
    """Prepare."""
    analyse = preparation._analyse

    def together(*arguments: Any, **options: Any) -> Any:
        (folder / node()).touch()
        wait_until(lambda: len(list(folder.iterdir())) >= count, what=f"batches on {count} nodes", every=0.1)
        return analyse(*arguments, **options)

    with mock.patch.object(preparation, "_analyse", together):
        prepare.main(options)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
