"""``python -m data.inspect``: show the content of a cache and its faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data.console import Command, out
from data.errors import SettingsError

if TYPE_CHECKING:
    from rich.table import Table

_EXAMPLES = 3
_NO_GROUPS = "none given: tracks of one artist may be on both sides of a split (data.prepare --groups-from)"
_BAR = 40
"""Characters of the bar of a tag that is certain."""


@click.command(cls=Command)
@click.option("--cache", metavar="DIR_OR_URI", help="The cache.")
@click.option(
    "--music-tags",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Show the 50 tags that MusiCNN hears in an audio file, instead of a cache.",
)
@click.option(
    "--embedding-weights",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of MusiCNN's weights.  [default: the package that 'make embeddings' installs]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(cache: str | None, music_tags: Path | None, embedding_weights: Path | None, as_json: bool) -> None:
    """Show files, genres, lengths, what was skipped and why, bad clips, and recordings that occur twice."""
    if music_tags is not None and cache is None:
        _show_tags(music_tags, embedding_weights, as_json)
        return
    if cache is None or music_tags is not None:
        raise SettingsError("give either --cache DIR_OR_URI or --music-tags FILE")
    if embedding_weights is not None:
        raise SettingsError("--embedding-weights: goes with --music-tags only")
    from data.cache.cache import Cache
    from data.collection.quality import inspect

    found = inspect(Cache.open(cache))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        out().print(_table(found))


def _show_tags(path: Path, weights: Path | None, as_json: bool) -> None:
    from data.analysis.music_tags import music_tags

    tags = music_tags(path, weights=weights)
    if as_json:
        click.echo(json.dumps({"file": str(path), "tags": tags}, indent=2, ensure_ascii=False))
        return
    for tag, activation in tags.items():
        bar = "#" * round(_BAR * activation)
        out().print(f"{tag:20} {activation:6.1%}  {bar}", highlight=False, markup=False)


def _table(found: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(show_header=False, title=f"{found['cache']} ({_source(found)})", title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    seconds = found["duration_s"]
    segments = "no features" if found["segments"] is None else f"{found['segments']} segments"
    table.add_row("files", f"{found['files']}, {found['tracks']} usable, {segments}")
    table.add_row("genres", ", ".join(f"{genre} {count}" for genre, count in found["genres"].items()))
    most, fewest = max(found["genres"].values(), default=0), min(found["genres"].values(), default=0)
    if fewest and most > fewest:
        table.add_row(
            "balance", f"the largest genre has {most / fewest:.1f} times the tracks of the smallest"
        )
    named = f"given for {found['named']} of {found['tracks']} tracks" if found["named"] else _NO_GROUPS
    table.add_row("groups", f"{found['groups']}, {named}")
    if seconds:
        table.add_row(
            "length",
            f"{seconds['shortest']:.1f} to {seconds['longest']:.1f} s, median {seconds['median']:.1f} s,"
            f" {seconds['total'] / 3600:.2f} h in all",
        )
    rates = ", ".join(f"{rate} Hz {count}" for rate, count in found["sample_rates"].items())
    table.add_row("sample rates", rates or "unknown")
    if found["codecs"]:
        table.add_row("codecs", ", ".join(f"{codec} {count}" for codec, count in found["codecs"].items()))
    skipped = [f"{track}: {reason}" for track, reason in found["skipped"].items()]
    for title, tracks in (
        ("skipped", skipped),
        ("silent", found["silent"]),
        ("clipped", found["clipped"]),
        ("short", found["short"]),
        ("lack up to 50 ms", found["incomplete"]),
        ("exact duplicates", _joined(found["exact_duplicates"])),
        ("near duplicates", _joined(found["near_duplicates"])),
        ("contradicting labels", found["contradicting"]),
    ):
        table.add_row(title, _some(tracks))
    if found["leak"] is not None:
        table.add_row(
            "would leak", f"{found['leak']:.1%} of validation tracks, in five folds that ignore groups"
        )
    table.add_row("fingerprint", found["fingerprint"])
    return table


def _source(found: dict[str, Any]) -> str:
    return f"{found['source']}, synthetic audio" if found["synthetic"] else str(found["source"])


def _joined(copies: list[list[str]] | None) -> list[str] | None:
    return None if copies is None else [" = ".join(tracks) for tracks in copies]


def _some(tracks: list[str] | None) -> str:
    """Count and the first few, each on a line."""
    if tracks is None:
        return "unknown (not made from audio)"
    shown = tracks[:_EXAMPLES]
    more = [f"and {len(tracks) - _EXAMPLES} more: see --json"] if len(tracks) > _EXAMPLES else []
    return "\n".join([str(len(tracks)), *shown, *more])


if __name__ == "__main__":
    main()
