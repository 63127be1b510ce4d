"""Create click options from the fields of pydantic models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click
from pydantic import BaseModel

_Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def field_option(
    model: type[BaseModel], name: str, description: str, *, flags: str | None = None, **attributes: Any
) -> _Decorator:
    """Return a click option with the type and the default of a field.

    Parameters
    ----------
    model : type
        The model.
    name : str
        Name of the field.
    description : str
        Help text.
    flags : str, optional
        The option as typed, if it is not the name with hyphens.
    **attributes
        Further attributes of `click.option`, which override those of the field.
    """
    field = model.model_fields[name]
    kind = _plain_type(field.annotation)
    if kind is bool:
        attributes.setdefault("is_flag", True)
    else:
        attributes.setdefault("type", kind)
    if field.default is not None and not attributes.get("multiple"):
        attributes.setdefault("default", field.get_default())
    return click.option(flags or "--" + name.replace("_", "-"), help=description, **attributes)


def field_default(model: type[BaseModel], name: str) -> Any:
    """Return the default of a field."""
    return model.model_fields[name].get_default()


def _plain_type(annotation: Any) -> Any:
    """Return the type inside ``Annotated`` and unions with None."""
    inner = [argument for argument in get_args(annotation) if argument is not type(None)]
    return _plain_type(inner[0]) if inner else annotation
