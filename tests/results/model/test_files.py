"""Corrupt files of an export are reported in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import results
from data.errors import ExportError


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return spoil


def put(name: str, content: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(json.dumps(content))

    return spoil


def cut(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return spoil


def flip(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        for position in range(len(content) // 3, len(content) // 3 + 400):
            content[position] ^= 0xFF
        (folder / name).write_bytes(content)

    return spoil


CORRUPT = {
    "an old version": (
        edit("config.json", lambda content: content.update(format=0)),
        "config.json: format 0",
    ),
    "not an object": (put("config.json", [1]), "config.json: format None"),
    "a field missing": (edit("config.json", lambda content: content.pop("family")), "config.json"),
    "unknown family": (
        edit("config.json", lambda content: content.update(family="x")),
        "config.json: unknown family 'x'",
    ),
    "cut JSON": (cut("preprocess.json"), "preprocess.json: not a JSON file"),
    "other columns": (
        edit("preprocess.json", lambda content: content["columns"].pop()),
        "preprocess.json: describes inputs",
    ),
    "other parameters": (
        edit("preprocess.json", lambda content: content["parameters"].update(sample_rate="fast")),
        "preprocess.json: parameters.sample_rate",
    ),
    "no scaler": (
        edit("preprocess.json", lambda content: content.update(preparation={})),
        "preprocess.json: preparation",
    ),
    "labels that are not a list": (put("labels.json", {"a": 1}), "labels.json: not a list"),
    "labels that repeat": (put("labels.json", ["a", "a", "b"]), "labels.json: not a list"),
    "too few labels": (put("labels.json", ["blues", "disco"]), "labels.json: names 2 genres"),
    "a cut model": (cut("model.keras"), "model.keras: not a complete Keras model"),
    "a damaged model": (flip("model.keras"), "model.keras: not a complete Keras model"),
}


@pytest.mark.parametrize("corruption", CORRUPT)
def test_a_corrupt_file_is_named(bundle_copy: Path, corruption: str) -> None:
    spoil, message = CORRUPT[corruption]
    spoil(bundle_copy)
    with pytest.raises(ExportError) as caught:
        results.load(bundle_copy)
    assert str(bundle_copy) in str(caught.value)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["config.json", "preprocess.json", "labels.json", "model.keras"])
def test_a_missing_file_is_named(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).unlink()
    with pytest.raises(ExportError, match=f"{name}: (missing|format None)"):
        results.load(bundle_copy)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such folder"):
        results.load(tmp_path / "nowhere")


def test_nothing_in_an_export_is_a_pickle(exported: Path) -> None:
    import zipfile

    with zipfile.ZipFile(exported / "model.keras") as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} <= {"json", "h5"}


def test_code_in_a_model_is_not_run(bundle_copy: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((57,)), keras.layers.Lambda(lambda x: x[:, :3])])
    model.save(bundle_copy / "model.keras")
    with pytest.raises(ExportError, match=r"model\.keras: not a complete Keras model"):
        results.load(bundle_copy)
