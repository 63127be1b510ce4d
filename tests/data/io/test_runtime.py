from __future__ import annotations

import pytest

from data.errors import SettingsError
from data.io import runtime
from data.io.runtime import VARIABLE, network_runtime


def test_keras_is_used_where_tensorflow_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert network_runtime() == "keras"
    monkeypatch.setattr(runtime, "find_spec", lambda _: None)
    assert network_runtime() == "onnx"


def test_the_environment_variable_selects_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "onnx")
    assert network_runtime() == "onnx"
    monkeypatch.setenv(VARIABLE, "torch")
    with pytest.raises(SettingsError, match="GENRE_SEARCH_RUNTIME=torch: unknown; use keras or onnx"):
        network_runtime()
