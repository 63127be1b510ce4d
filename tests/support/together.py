"""``data.prepare`` whose nodes wait for each other; run with ``NODES FOLDER OPTIONS``.

No batch is done before so many nodes have begun one, so that each gets some, however late it comes. They tell
each other by files in a folder that all of them see.
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

    def together(*given: Any, **options: Any) -> Any:
        (folder / node()).touch()
        wait_until(lambda: len(list(folder.iterdir())) >= count, what=f"{count} nodes had a batch", every=0.1)
        return analyse(*given, **options)

    with mock.patch.object(preparation, "_analyse", together):
        prepare.main(options)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
