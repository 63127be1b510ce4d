from __future__ import annotations

import pytest
import ray

from data.errors import SettingsError
from data.spread import cluster


def test_a_local_ray_that_does_not_start_is_told_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**options: object) -> None:
        assert options["address"] == "local"
        raise RuntimeError("the node timed out")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fails)
    said = r"^Ray could not be started on this machine \(the node timed out\); free memory and space"
    with pytest.raises(SettingsError, match=said), cluster(2):
        pass
