"""Validate JSON documents of caches, runs and exports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from data.errors import HarnessError

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """The first problem of a validation.

    Attributes
    ----------
    location : tuple of (str or int)
        Path of the field; empty for the whole document.
    message : str
        The message of pydantic.
    kind : str
        The error type of pydantic.
    value : object
        The invalid value.
    """

    location: tuple[int | str, ...]
    message: str
    kind: str
    value: Any

    @classmethod
    def first(cls, error: ValidationError) -> Problem:
        """Return the first problem that pydantic reports."""
        details = error.errors()[0]
        return cls(details["loc"], details["msg"], details["type"], details["input"])

    def __str__(self) -> str:
        field = ".".join(map(str, self.location)) or "content"
        return f"{field}: {self.message}"


def require_format(
    content: Any, formats: Collection[int], *, where: str, error: type[HarnessError], advice: str
) -> None:
    """Check the number in the field ``format`` of a document.

    Parameters
    ----------
    content : object
        The parsed JSON.
    formats : collection of int
        Formats that this version reads.
    where : str
        Path of the document, for the message.
    error : type
        Class of the error.
    advice : str
        What the user can do, for the message.

    Raises
    ------
    HarnessError
        Of the class `error`, if the format is missing or is another one.
    """
    number = content.get("format") if isinstance(content, dict) else None
    if number not in formats:
        readable = " and ".join(map(str, sorted(formats)))
        if isinstance(number, int) and number > max(formats):
            advice = f"a newer version wrote it: update genre-search, or {advice}"
        raise error(f"{where}: format {number}, but this version reads format {readable}; {advice}")


def validated(
    model: type[_Model], content: Any, *, where: str, error: type[HarnessError], advice: str
) -> _Model:
    """Validate a document.

    Parameters
    ----------
    model : type
        The pydantic model.
    content, where, error, advice
        See `require_format`.

    Raises
    ------
    HarnessError
        Of the class `error`; the message names the first invalid field.
    """
    try:
        return model.model_validate(content)
    except ValidationError as cause:
        raise error(f"{where}: {Problem.first(cause)}; {advice}") from cause
