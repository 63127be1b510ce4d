"""``python -m data.inspect``: show the content of a cache and its faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data.console import Command, err, out
from data.errors import SettingsError
from data.io.folder import Folder

if TYPE_CHECKING:
    from rich.table import Table

    from data.cache.cache import Cache

_EXAMPLES = 3
_BAR = 40
"""Characters of the bar of a tag that is certain."""
_DIGITS = 16
"""Shown digits of a fingerprint."""


@click.command(cls=Command, extra="search")
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
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a page with tables, distributions, and clips to listen to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    cache: str | None,
    music_tags: Path | None,
    embedding_weights: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show the genres and lengths of a cache, its skipped files, bad clips, and duplicate recordings."""
    if html is not None and cache is None:
        raise SettingsError(f"--html {html}: needs --cache")
    if music_tags is not None and cache is None:
        _show_tags(music_tags, embedding_weights, as_json)
        return
    if cache is None or music_tags is not None:
        raise SettingsError("give either --cache DIR_OR_URI or --music-tags FILE")
    if embedding_weights is not None:
        raise SettingsError("--embedding-weights: goes with --music-tags only")
    from data.cache.cache import Cache
    from data.collection.quality import inspect

    opened = Cache.open(cache)
    content = inspect(opened)
    if html is not None:
        _write_page(html, opened, content)
    if as_json:
        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif html is None:
        out().print(_table(content))


def _write_page(path: Path, cache: Cache, content: dict[str, Any]) -> None:
    from data.inspection.page import page

    path = path.expanduser()
    text = page(cache, content).encode()
    try:
        Folder.at(path.parent).write(path.name, text)
    except OSError as error:
        raise SettingsError(f"--html {path}: cannot be written ({error.strerror or error})") from error
    size = f"{len(text) / 1e6:.1f} MB"
    err().print(
        f"Wrote {path} ({size}). Open it in a browser.", highlight=False, markup=False, soft_wrap=True
    )


def _show_tags(path: Path, weights: Path | None, as_json: bool) -> None:
    from data.analysis.music_tags import music_tags

    tags = music_tags(path, weights=weights)
    if as_json:
        click.echo(json.dumps({"file": str(path), "tags": tags}, indent=2, ensure_ascii=False))
        return
    for tag, activation in tags.items():
        bar = "#" * round(_BAR * activation)
        out().print(f"{tag:20} {activation:6.1%}  {bar}", highlight=False, markup=False)


def _table(content: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(show_header=False, title=f"{content['cache']} ({_source(content)})", title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    seconds = content["duration_s"]
    segments = "no features" if content["segments"] is None else f"{content['segments']} segments"
    table.add_row("files", f"{content['files']}, {content['tracks']} usable, {segments}")
    table.add_row("genres", ", ".join(f"{genre} {count}" for genre, count in content["genres"].items()))
    if (content["balance"] or 1) > 1:
        table.add_row(
            "balance", f"the largest genre has {content['balance']:.1f} times the tracks of the smallest"
        )
    if content["sides"]:
        table.add_row("partition", _counts(content["sides"]))
    from data.collection.summary import NO_GROUPS

    named = f"given for {content['named']} of {content['tracks']} tracks" if content["named"] else NO_GROUPS
    table.add_row("groups", f"{content['groups']}, {named}")
    if seconds:
        table.add_row(
            "length",
            f"{seconds['shortest']:.1f} to {seconds['longest']:.1f} s, median {seconds['median']:.1f} s,"
            f" {seconds['total'] / 3600:.2f} h in all",
        )
    rates = ", ".join(f"{rate} Hz {count}" for rate, count in content["sample_rates"].items())
    table.add_row("sample rates", rates or "unknown")
    table.add_row("formats", _counts(content["formats"]))
    if content["codecs"]:
        table.add_row("codecs", _counts(content["codecs"]))
    sizes = content["bytes"]
    if sizes:
        table.add_row(
            "sizes",
            f"{sizes['smallest'] / 1e6:.2f} to {sizes['largest'] / 1e6:.2f} MB, {sizes['total'] / 1e6:.1f} MB"
            " in all",
        )
    tags = content["tags"]
    if tags:
        named = ", ".join(f"{name} {count}" for name, count in tags.items() if name != "files")
        table.add_row("tags", f"{named} of {tags['files']} files that were read")
    skipped = [f"{track}: {reason}" for track, reason in content["skipped"].items()]
    for title, tracks in (
        ("skipped", skipped),
        ("silent", content["silent"]),
        ("clipped", content["clipped"]),
        ("short", content["short"]),
        ("lack up to 50 ms", content["incomplete"]),
        ("exact duplicates", _joined(content["exact_duplicates"])),
        ("near duplicates", _joined(content["near_duplicates"])),
        ("contradicting labels", content["contradicting"]),
    ):
        table.add_row(title, _some(tracks))
    if content["leak"] is not None:
        table.add_row(
            "would leak",
            f"{100 * content['leak']:.1f} % of validation tracks, in five folds that ignore groups",
        )
    # Leaderboards and reports name the collection by the same digits.
    table.add_row("fingerprint", content["collection"][:_DIGITS])
    return table


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _source(content: dict[str, Any]) -> str:
    return f"{content['source']}, synthetic audio" if content["synthetic"] else str(content["source"])


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
