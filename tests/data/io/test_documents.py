from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from data.errors import ExportError
from data.io.documents import require_format, validated


class Inner(BaseModel):
    size: int


class Document(BaseModel):
    name: str
    parts: list[Inner] = []


ADVICE: dict[str, Any] = {"where": "a.json", "error": ExportError, "advice": "export the model again"}


def test_a_valid_document_is_parsed() -> None:
    content = {"name": "a", "parts": [{"size": 3}]}
    assert validated(Document, content, **ADVICE) == Document(name="a", parts=[Inner(size=3)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"name": "a", "parts": [{"size": "x"}]},
            r"^a\.json: parts\.0\.size: Input .*; export the model again",
        ),
        ({}, r"^a\.json: name: Field required; export"),
        ([1], r"^a\.json: content: Input should be"),
    ],
)
def test_the_first_invalid_field_is_named(content: object, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        validated(Document, content, **ADVICE)


@pytest.mark.parametrize("content", [{"format": 2}, {}, ["format"], None])
def test_another_format_is_refused(content: object) -> None:
    require_format({"format": 3}, (1, 3), **ADVICE)
    with pytest.raises(ExportError, match="this version reads format 1 and 3; export the model again"):
        require_format(content, (3, 1), **ADVICE)


def test_a_newer_format_needs_a_newer_version() -> None:
    with pytest.raises(
        ExportError,
        match=r"format 4, but this version reads format 1 and 3; a newer version wrote it: update",
    ):
        require_format({"format": 4}, (1, 3), **ADVICE)
