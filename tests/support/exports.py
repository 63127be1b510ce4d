"""Exports of networks that no search trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.analysis.feature_names import FEATURES
from data.analysis.kinds import FEATURE_KIND, kinds_in
from data.analysis.parameters import Parameters
from results.exporting.model_formats import write_model_formats
from results.model import files
from results.model.network import KERAS_FILE
from spaces.training.family import Fitted
from tests.support.rows import GENRES


def write_export(
    folder: Path,
    family: str,
    fitted: Fitted,
    rows: np.ndarray,
    *,
    reads: str,
    parameters: Parameters,
    labels: Sequence[str] = GENRES,
    formats: Sequence[str] = ("onnx",),
    temperature: float = 1.0,
    encoders: Path | None = None,
) -> Path:
    """Write the files that loading and predicting need, and ``metrics.json`` without a score.

    Parameters
    ----------
    folder : Path
        The folder to make.
    family, fitted, reads, parameters, labels, temperature
        Content of the files.
    rows : ndarray, shape (n, ...)
        Inputs as cached, to compare the formats on.
    formats : sequence of str
        Additional formats.
    encoders : Path, optional
        Folder to copy the encoders from.
    """
    folder.mkdir(parents=True)
    if encoders is not None:
        shutil.copytree(encoders, folder / "encoders")
    config = files.BundleConfig(
        family=family,
        run="none",
        trial_id="none_00000",
        config={},
        epochs=0,
        seed=0,
        synthetic=False,
        cache_fingerprint="0" * 64,
        split_fingerprint="0" * 64,
        created="2026-01-01T00:00:00+00:00",
        versions={},
        temperature=temperature,
    )
    preprocess = files.Preprocess(
        reads=reads,
        parameters=parameters,
        columns=list(FEATURES) if FEATURE_KIND in kinds_in(reads) else [],
        preparation=fitted.preparation,
    )
    fitted.model.save(folder / KERAS_FILE)
    content: dict[str, Any] = {
        files.CONFIG: config.model_dump(mode="json"),
        files.PREPROCESS: preprocess.model_dump(mode="json"),
        files.LABELS: list(labels),
        files.METRICS: {},
    }
    for name, document in content.items():
        files.write_json(folder, name, document)
    write_model_formats(
        fitted.model,
        folder,
        rows,
        formats=formats,
        config=config,
        preprocess=preprocess,
        labels=labels,
    )
    return folder


def dense_network(n_inputs: int, n_outputs: int = len(GENRES), *, seed: int = 0) -> Any:
    """A linear softmax network with random weights of a size at which it is undecided."""
    from data.io.keras_import import import_keras

    import_keras()
    import keras

    kernel = keras.initializers.RandomNormal(stddev=0.3 / np.sqrt(n_inputs), seed=seed)
    inputs = keras.Input((n_inputs,))
    outputs = keras.layers.Dense(n_outputs, activation="softmax", kernel_initializer=kernel)(inputs)
    return keras.Model(inputs, outputs)
