"""Write all networks of an export in the formats of other runtimes: model, encoder, and both joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import spaces
from data.analysis.embeddings import ENCODERS
from data.analysis.encoders.catalogue import MUSICNN
from data.analysis.encoders.musicnn_onnx import FILE as MUSICNN_ONNX
from data.analysis.kinds import EMBEDDING_PREFIX, FEATURE_KIND, SPECTROGRAM_KINDS
from results.exporting.encoder_chain import FOLDER as CHAIN
from results.exporting.encoder_chain import (
    build_chain,
    build_encoder,
    chain_formats,
    has_chain,
    noise_patches,
)
from results.exporting.formats import NAMES, write_default_formats, write_formats
from results.exporting.onnx_description import OnnxDescription, model_metadata
from results.model import files

if TYPE_CHECKING:
    import keras

_LOG_MEL, _VECTORS = "log_mel", "vectors"
"""Names of the input and output of the encoder's ONNX form, and of the input of others."""


def write_model_formats(
    model: keras.Model,
    folder: Path,
    rows: np.ndarray,
    *,
    formats: Sequence[str] | None,
    config: files.BundleConfig,
    preprocess: files.Preprocess,
    labels: Sequence[str],
) -> None:
    """Write a model, and what it needs to run without TensorFlow, in additional formats.

    Parameters
    ----------
    model : keras.Model
        The network, from prepared inputs to probabilities.
    folder : Path
        Folder of the export, which contains the copies of the encoders.
    rows : ndarray, shape (n, ...)
        Inputs as cached, on which each format is compared with `model`.
    formats : sequence of str or None
        The formats; None for the ONNX form where its libraries are installed.
    config, preprocess, labels
        Content of the export's files.

    Raises
    ------
    ExportError
        If a format that was asked for cannot be written, or its outputs differ.
    """
    inputs = spaces.get(config.family).prepare(rows, preprocess.preparation)
    metadata = model_metadata(config, preprocess, labels)
    is_plain = preprocess.reads in (FEATURE_KIND, *SPECTROGRAM_KINDS)
    description = OnnxDescription(preprocess.reads if is_plain else _VECTORS, metadata=metadata)
    if formats is None:
        written: Sequence[str] = tuple(write_default_formats(model, folder, inputs, description=description))
    else:
        written = tuple(write_formats(model, folder, formats, inputs, description=description))
    if "onnx" in written:
        _write_encoders(preprocess, folder)
    _write_chain(model, preprocess, folder, written, metadata)


def _write_encoders(preprocess: files.Preprocess, folder: Path) -> None:
    """Write the ONNX form of MusiCNN next to its weights; other encoders are ONNX files already."""
    for name, embedding in preprocess.parameters.embeddings.items():
        if embedding.encoder == MUSICNN:
            place = folder / ENCODERS / name
            description = OnnxDescription(_LOG_MEL, _VECTORS, {"sample_rate": str(embedding.sample_rate)})
            write_formats(build_encoder(place), place, ("onnx",), noise_patches(), description=description)
            (place / NAMES["onnx"]).rename(place / MUSICNN_ONNX)


def _write_chain(
    model: keras.Model,
    preprocess: files.Preprocess,
    folder: Path,
    formats: Sequence[str],
    metadata: Mapping[str, Any],
) -> None:
    """Also write encoder and head as one network, if the model reads only that encoder and it allows this."""
    joined_formats = chain_formats(formats)
    name, embedding = next(iter(preprocess.parameters.embeddings.items()), ("", None))
    scaler = preprocess.preparation.get("scaler", [])
    if not joined_formats or embedding is None or preprocess.reads != f"{EMBEDDING_PREFIX}{name}":
        return
    if has_chain(embedding, scaler):
        chain = build_chain(model, embedding, scaler, folder / ENCODERS / name)
        (folder / CHAIN).mkdir()
        description = OnnxDescription(
            _LOG_MEL, metadata={**metadata, "reads": _LOG_MEL, "sample_rate": str(embedding.sample_rate)}
        )
        write_formats(chain, folder / CHAIN, joined_formats, noise_patches(), description=description)
