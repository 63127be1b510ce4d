from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from data.analysis import colour_maps
from data.analysis.colour_maps import colour_table
from data.errors import SettingsError


@pytest.mark.parametrize("name", ["inferno", "magma", "plasma", "viridis", "gray"])
def test_the_colours_are_those_of_matplotlib(name: str) -> None:
    expected = mpl.colormaps[name](np.arange(256) / 255, bytes=True)[:, :3]
    assert (name in colour_maps._TABLES) == (name != "gray")
    assert np.array_equal(colour_table(name), expected)


def test_a_map_without_a_table_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    message = r"--colormap cividis: matplotlib not installed; run: pip install 'genre-search\[search\]'"
    with pytest.raises(SettingsError, match=message):
        colour_table("cividis")
