"""Short clips of tracks as players and spectrograms that an HTML page holds in itself."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from data.analysis.parameters import Picture
from data.analysis.spectrograms import image
from data.analysis.stft import Spectrum
from data.audio.decode import load
from data.audio.region import Region
from data.errors import AudioError

_CLIP_SECONDS = 10.0
_PICTURE_SIZE = 200
_COLOURS = 32
"""Colours of a picture; with all 256, the file would be twice as large."""


@dataclass(frozen=True)
class Clip:
    """The middle of a track.

    Attributes
    ----------
    track_id, label : str
        The track and its genre.
    player : str
        MP3 as a data URI; empty if the file cannot be read now.
    picture : str
        Log-mel spectrogram, PNG as a data URI; empty in the same case.
    problem : str
        Why there is no player; empty if there is one.
    """

    track_id: str
    label: str
    player: str = ""
    picture: str = ""
    problem: str = ""


def make_clip(track: dict[str, Any]) -> Clip:
    """Decode the middle ten seconds of a track.

    Parameters
    ----------
    track : dict
        Its row of the manifest: ``track_id``, ``label``, ``path``, ``duration_s``.
    """
    name, label, path = track["track_id"], track["label"], track["path"]
    region = Region.of_track(name, path)
    offset_s = region.start_s if region else 0.0
    length_s = float(track["duration_s"] or 0.0)
    start_s = offset_s + max(0.0, (length_s - _CLIP_SECONDS) / 2)
    end_s = min(start_s + _CLIP_SECONDS, offset_s + length_s)
    try:
        audio = load(path, region=Region(start_s, end_s))
    except AudioError as error:
        return Clip(name, label, problem=str(error))
    return Clip(name, label, _player(audio.y, audio.sr), _picture(audio.y, audio.sr))


def _player(y: np.ndarray, sr: int) -> str:
    file = io.BytesIO()
    # All browsers play MP3.
    soundfile.write(file, np.clip(y, -1, 1), sr, format="MP3", subtype="MPEG_LAYER_III")
    return _data_uri("audio/mpeg", file.getvalue())


def _picture(y: np.ndarray, sr: int) -> str:
    spectrum = Spectrum.of(y, sr=sr, n_fft=2048, hop_length=512)
    seconds = max(0.2, len(y) / sr)
    file = io.BytesIO()
    picture = Image.fromarray(image(spectrum, Picture(seconds=seconds, size=_PICTURE_SIZE))[0])
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return _data_uri("image/png", file.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
