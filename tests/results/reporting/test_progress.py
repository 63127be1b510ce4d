from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from results.reporting.material import Material
from results.reporting.progress import learning_curves
from tests.results.runs import write_scores


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ({"scheduler": "asha"}, [20, 60]),
        ({"scheduler": "asha", "grace_period": 5, "reduction_factor": 4}, [5, 20, 80]),
        ({"scheduler": "hyperband", "grace_period": None, "reduction_factor": 3}, [9, 27]),
        ({"scheduler": "median"}, []),
        ({"scheduler": "none"}, []),
        ({}, []),
    ],
)
def test_the_rungs_of_the_scheduler_are_drawn(
    tmp_path: Path, settings: dict[str, Any], drawn: list[int]
) -> None:
    run = write_scores(tmp_path, "a", [0.5, 0.6], settings=settings, max_epochs=81)
    shapes = learning_curves(Material.read(run)).layout["shapes"]
    assert [shape["x0"] for shape in shapes] == drawn
