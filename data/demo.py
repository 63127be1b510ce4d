"""The demo data set: synthetic tracks in ten styles, made once and prepared like any folder of audio.

What it is
    30 tracks of each of the ten styles of `data.synthesis.styles`, 9 s at 22,050 Hz, mono, 16-bit FLAC, under
    ``audio/`` of the cache that is prepared from them: features, log-mel spectrograms of 64 bands and 3 s,
    and a picture of 150 x 150 pixels of each track.
Where it comes from
    `data.synthesis.tracks`, from a seed; no recording is part of it.
What it is for
    Trying the whole job with no audio at hand. Its numbers say nothing about music: its cache is marked
    synthetic, and so is every number taken from it.
"""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import click

from data.cache.format import FORMAT
from data.console import Command, err, out
from data.errors import CacheError
from data.io.folder import Folder
from data.io.lock import claimed

if TYPE_CHECKING:
    from data.analysis.parameters import Parameters

CACHE = "cache/demo"
"""Default folder of the demo data set."""
TRACKS = 30
"""Tracks of each style by default."""

_RECIPE = "demo.json"


def ensure(cache: str = CACHE, seed: int = 0, *, tracks: int = TRACKS, workers: int | None = None) -> str:
    """Make the demo data set if it is not there yet.

    What an earlier call left unfinished is finished, and one in another process is waited for. A demo data
    set of another seed or size in the same folder is replaced.

    Parameters
    ----------
    cache : str
        Folder of the cache, on this machine.
    seed : int
        Seed of the music, at least 0; the same seed gives the same features.
    tracks : int
        Tracks of each style, at least 1.
    workers : int, optional
        Processes at once; all cores by default.

    Returns
    -------
    str
        `cache`.

    Raises
    ------
    CacheError
        If the folder holds something else than a demo data set, or cannot be written.
    """
    from data.synthesis.tracks import VERSION

    folder = Folder.at(cache)
    recipe = {
        "format": FORMAT,
        "synthesis": VERSION,
        "seed": seed,
        "tracks": tracks,
        "parameters": _parameters().model_dump(),
    }
    try:
        with claimed(folder, wait=True):
            if not folder.exists(_RECIPE) or folder.read_json(_RECIPE) != recipe:
                _clear(folder)
                folder.write_json(_RECIPE, recipe)
            elif folder.exists("cache.json"):
                return cache
            _make(folder, seed, tracks, workers)
    except OSError as error:
        raise CacheError(
            f"{cache}: cannot be written ({error.strerror or error}); fix that and rerun"
        ) from error
    return cache


def _clear(folder: Folder) -> None:
    """Take an older demo data set away, ``cache.json`` first; refuse to touch anything else."""
    if folder.names() and not folder.exists(_RECIPE):
        raise CacheError(f"{folder.uri}: holds something else than a demo data set; name a new folder")
    folder.remove("cache.json")
    for name in ("audio", "parts"):
        folder.remove_tree(name)


def _make(folder: Folder, seed: int, tracks: int, workers: int | None) -> None:
    """Write the tracks that are missing, and the cache."""
    from threadpoolctl import threadpool_limits

    from data.collection.scan import find_files
    from data.pipeline.planner import Preparation
    from data.pipeline.ray_map import cluster, spread
    from data.synthesis.styles import STYLES

    audio = folder / "audio"
    clips = [(style, number) for style in STYLES for number in range(tracks)]
    missing = [(style, number) for style, number in clips if not (audio / style).exists(_name(style, number))]
    err().print(
        f"Making the demo data set, once: {len(clips)} synthetic tracks in {len(STYLES)} styles,"
        f" in {folder.uri}",
        highlight=False,
        soft_wrap=True,
    )
    # Threads of a matrix product add in another order: the last digits would depend on who extracts, this
    # process or a worker, which has one thread.
    with cluster(workers), threadpool_limits(1):
        for _ in spread(partial(_write_track, folder=audio, seed=seed), missing, workers=workers):
            pass
        preparation = Preparation.plan(folder.uri, find_files(audio.local), _parameters(), source="demo")
        for _ in preparation.run(workers=workers, address=None, strict=True):
            pass
    for style in STYLES:
        (audio / style).remove_unfinished()
    preparation.finish()


def _parameters() -> Parameters:
    """Tensors small enough for networks to be trained without a GPU."""
    from data.analysis.parameters import Melspec, Parameters, Picture

    return Parameters(
        melspec=Melspec(seconds=3.0, n_mels=64), image=Picture(seconds=9.0, size=150, n_mels=64)
    )


def _name(style: str, number: int) -> str:
    return f"{style}.{number:05d}.flac"


def _write_track(track: tuple[str, int], folder: Folder, seed: int) -> None:
    import soundfile

    from data.synthesis.tracks import SAMPLE_RATE, synthesise

    style, number = track
    content = io.BytesIO()
    y = synthesise(style, seed=seed, number=number)
    soundfile.write(content, y, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    (folder / style).write(_name(style, number), content.getvalue())


@click.command(cls=Command)
@click.option("--cache", metavar="DIR", default=CACHE, help="Where the data set is made.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the music.")
@click.option("--tracks", type=click.IntRange(min=1), default=TRACKS, help="Tracks of each style.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes at once.  [default: all cores]")
def main(cache: str, seed: int, tracks: int, workers: int | None) -> None:
    """Make the demo data set: synthetic music in ten styles, and its cache.

    A rerun makes nothing, and finishes what was interrupted.
    """
    ensure(cache, seed, tracks=tracks, workers=workers)
    out().print(f"{cache}: the demo data set, SYNTHETIC music", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
