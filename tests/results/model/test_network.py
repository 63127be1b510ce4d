from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import results
from data.errors import ExportError
from data.io import runtime
from data.io.runtime import VARIABLE
from results.model.files import CONFIG, LABELS, read_json, write_json
from results.predict import main


@pytest.fixture
def onnx_copy(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An export in a process that uses the ONNX form, which is not a network."""
    monkeypatch.setenv(VARIABLE, "onnx")
    (bundle_copy / "model.onnx").write_bytes(b"not a network")
    return bundle_copy


def test_a_damaged_onnx_form_is_reported(onnx_copy: Path) -> None:
    with pytest.raises(ExportError, match=r"model\.onnx: not a complete ONNX model \(.*\); export the model"):
        results.load(onnx_copy)


def test_a_missing_onnx_form_is_reported_in_one_line(
    onnx_copy: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (onnx_copy / "model.onnx").unlink()
    done = CliRunner().invoke(main, [str(onnx_copy), str(song)])
    assert done.exit_code == 2
    assert "model.onnx: missing; export the model again with --format onnx" in done.stderr
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(runtime, "find_spec", lambda _: None)
    monkeypatch.setattr("results.model.network.missing_modules", lambda _: ["tensorflow"])
    done = CliRunner().invoke(main, [str(onnx_copy), str(song)])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "model.onnx: missing; without TensorFlow a model needs its ONNX form" in line
    assert line.endswith("or run: pip install 'genre-search[search]'")


@pytest.mark.slow
def test_files_of_another_model_are_refused(
    exported: Path, onnx_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "onnx")
    folder = Path(shutil.copytree(onnx_exported, tmp_path / "bundle"))
    write_json(folder, LABELS, ["blues", "disco"])
    with pytest.raises(ExportError, match=r"names 2 genres, but model\.onnx has 3 outputs"):
        results.load(folder)


def test_an_export_of_a_newer_format_is_refused(bundle_copy: Path, song: Path) -> None:
    write_json(bundle_copy, CONFIG, {**read_json(bundle_copy, CONFIG), "format": 99})
    done = CliRunner().invoke(main, [str(bundle_copy), str(song)])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "config.json: format 99, but this version reads format 1; a newer version wrote it" in line
