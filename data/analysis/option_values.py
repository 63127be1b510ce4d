"""Parameters of the analysis from the values of command-line options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from data.analysis.colour_maps import colour_table
from data.analysis.parameters import Melspec, Parameters, Picture, Windows
from data.errors import SettingsError
from data.field_options import field_default
from data.io.documents import Problem

_Model = TypeVar("_Model", bound=BaseModel)


def parameters_of_options(
    *,
    melspec: bool,
    window_seconds: float | None,
    image: bool,
    image_seconds: float | None,
    image_size: int,
    colormap: str,
    overlap: float,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    **common: float,
) -> Parameters:
    """Create the parameters of an analysis from the options of ``data.prepare`` with the same names.

    Raises
    ------
    SettingsError
        If a value cannot be used; the message names its option.
    """
    mels = {"overlap": overlap, "n_mels": n_mels, "fmin": fmin, "fmax": fmax}
    # Validated first, because the segment length limits the default length of windows.
    longest = _valid(Parameters, common).segment_seconds
    tensors: dict[str, Windows] = {}
    if melspec:
        seconds = (
            min(field_default(Melspec, "seconds"), longest) if window_seconds is None else window_seconds
        )
        tensors["melspec"] = _valid(Melspec, mels | {"seconds": seconds}, seconds="window-seconds")
    if image:
        colour_table(colormap)
        seconds = image_seconds
        if seconds is None:
            seconds = min(field_default(Picture, "seconds"), longest)
        picture = mels | {"seconds": seconds, "size": image_size, "colormap": colormap}
        tensors["image"] = _valid(Picture, picture, seconds="image-seconds", size="image-size")
    return _valid(Parameters, common | tensors)


def _valid(model: type[_Model], values: Mapping[str, Any], **options: str) -> _Model:
    """Create a model from values; `options` maps a field to its option if the names differ."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = Problem.first(error)
        name = "-".join(map(str, problem.location))
        option = options.get(name, name.replace("_", "-"))
        raise SettingsError(f"{f'--{option}: ' if option else ''}{problem.message}") from error
