from __future__ import annotations

from typing import Annotated, Any

import click
from click.testing import CliRunner
from pydantic import BaseModel, Field

from data.field_options import field_default, field_option


class Settings(BaseModel):
    n_mels: int = Field(default=128, ge=8)
    fmax: Annotated[float | None, Field(gt=0)] = None
    fast: bool = False


@click.command()
@field_option(Settings, "n_mels", "Bands.")
@field_option(Settings, "fmax", "Highest frequency.", flags="--highest")
@field_option(Settings, "fast", "Fast.")
def command(**values: Any) -> None:
    click.echo(repr(sorted(values.items())))


def test_options_have_the_types_and_defaults_of_their_fields() -> None:
    default = CliRunner().invoke(command, [])
    assert default.output == "[('fast', False), ('highest', None), ('n_mels', 128)]\n"
    changed = CliRunner().invoke(command, ["--fast", "--highest", "8000", "--n-mels", "64"])
    assert changed.output == "[('fast', True), ('highest', 8000.0), ('n_mels', 64)]\n"
    assert CliRunner().invoke(command, ["--n-mels", "many"]).exit_code == 2
    assert field_default(Settings, "n_mels") == 128
