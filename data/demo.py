"""The demo data set: synthetic tracks in ten styles, prepared like any folder of audio.

Content
    30 tracks of each of the ten styles of `data.synthesis.styles`, 9 s at 22,050 Hz, mono, 16-bit FLAC, under
    ``audio/`` of the cache that is prepared from them: features, log-mel spectrograms of 64 bands and 3 s,
    and an image of 150 x 150 pixels of each track; vectors of pretrained encoders if requested.
Origin
    `data.synthesis.tracks`, from a seed; no recordings.
Purpose
    Trying the project without audio. Results on it do not apply to real music, so its cache and all results
    are marked synthetic.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from data.analysis.kinds import EMBEDDING_PREFIX
from data.analysis.parameters import Melspec, Parameters, Picture
from data.cache.format import FORMAT
from data.console import Command, err, out
from data.errors import CacheError
from data.io.folder import Folder
from data.io.lock import claimed
from data.io.progress import counted_files
from data.io.stages import Stages

if TYPE_CHECKING:
    from data.analysis.encoders.catalogue import EncoderFiles

CACHE = "cache/demo"
"""Default folder of the demo data set."""
TRACKS = 30
"""Default number of tracks per style."""

_RECIPE = "demo.json"


def ensure(
    cache: str = CACHE,
    seed: int = 0,
    *,
    tracks: int = TRACKS,
    workers: int | None = None,
    embeddings: Sequence[str] = (),
) -> str:
    """Make the demo data set if it does not exist yet.

    An interrupted call is finished, and a call in another process is waited for. A demo data set with another
    seed or size in the same folder is replaced.

    Parameters
    ----------
    cache : str
        Folder of the cache, on this machine.
    seed : int
        Seed of the music, at least 0; the same seed gives the same features.
    tracks : int
        Number of tracks per style, at least 1.
    workers : int, optional
        Number of processes; all cores by default.
    embeddings : sequence of str
        Encoders whose vectors are added if the cache lacks them: ``musicnn``, or ONNX files that state their
        sample rate.

    Returns
    -------
    str
        `cache`.

    Raises
    ------
    CacheError
        If the folder contains something else than a demo data set, or cannot be written.
    EncoderError
        If an encoder is missing or cannot be used.
    """
    from data.analysis.encoders.catalogue import find_encoders
    from data.synthesis.tracks import VERSION

    encoders = find_encoders(embeddings)
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
            elif folder.exists("cache.json") and not _lacking(folder, encoders):
                return cache
            _make(folder, seed, tracks, workers, encoders)
    except OSError as error:
        raise CacheError(
            f"{cache}: cannot be written ({error.strerror or error}); fix that and rerun"
        ) from error
    return cache


def _clear(folder: Folder) -> None:
    """Delete an older demo data set, ``cache.json`` first; refuse other content."""
    from data.analysis.embeddings import ENCODERS

    if folder.names() and not folder.exists(_RECIPE):
        raise CacheError(f"{folder.uri}: contains something else than a demo data set; choose a new folder")
    folder.remove("cache.json")
    for name in folder.names():
        if name in ("audio", "parts", ENCODERS) or name.startswith(EMBEDDING_PREFIX):
            folder.remove_tree(name)


def _lacking(folder: Folder, encoders: Sequence[EncoderFiles]) -> list[str]:
    """Names of the encoders whose vectors the cache lacks."""
    cached = folder.read_json("cache.json")["parameters"].get("embeddings", {})
    return [
        encoder.name for encoder in encoders if cached.get(encoder.name) != encoder.embedding.model_dump()
    ]


def _make(
    folder: Folder, seed: int, tracks: int, workers: int | None, encoders: Sequence[EncoderFiles]
) -> None:
    """Write the missing tracks and the cache."""
    from threadpoolctl import threadpool_limits

    from data.collection.scan import find_files
    from data.pipeline.planner import Preparation
    from data.pipeline.ray_map import cluster, spread
    from data.synthesis.styles import STYLES

    audio = folder / "audio"
    clips = [(style, number) for style in STYLES for number in range(tracks)]
    missing = [(style, number) for style, number in clips if not (audio / style).exists(_name(style, number))]
    if folder.exists("cache.json"):
        action = f"Adding vectors of {', '.join(_lacking(folder, encoders))} to the demo data set"
    else:
        action = "Making the demo data set"
    err().print(
        f"{action}, once: {len(clips)} synthetic tracks in {len(STYLES)} styles, in {folder.uri}",
        highlight=False,
        soft_wrap=True,
    )
    # One thread, as in the workers, because rounding depends on the number of threads.
    with cluster(workers), threadpool_limits(1):
        with counted_files("Writing the tracks", len(missing)) as advance:
            for _ in spread(partial(_write_track, folder=audio, seed=seed), missing, workers=workers):
                advance(1)
        for style in STYLES:
            # A writer that was killed may have left the beginning of a track.
            (audio / style).remove_unfinished()
        preparation = Preparation.plan(
            folder.uri, find_files(audio.local), _parameters(), source="demo", encoders=encoders
        )
        with counted_files("Analysing", len(preparation.todo)) as advance:
            for count in preparation.run(workers=workers, address=None, strict=True):
                advance(count)
    with Stages() as stage:
        stage("Writing the cache")
        preparation.finish()


def _parameters() -> Parameters:
    """Return parameters of tensors that are small enough for training without a GPU."""
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


@click.command(cls=Command, extra="search")
@click.option("--cache", metavar="DIR", default=CACHE, help="Folder of the data set.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the music.")
@click.option("--tracks", type=click.IntRange(min=1), default=TRACKS, help="Tracks per style.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes at once.  [default: all cores]")
@click.option(
    "--embedding",
    "embeddings",
    metavar="musicnn|FILE.onnx",
    multiple=True,
    help="Also cache vectors of a pretrained encoder; can be repeated.",
)
def main(cache: str, seed: int, tracks: int, workers: int | None, embeddings: tuple[str, ...]) -> None:
    """Make the demo data set: synthetic music in ten styles, and its cache.

    A rerun finishes an interrupted run. Requested embeddings that the cache lacks are added.
    """
    ensure(cache, seed, tracks=tracks, workers=workers, embeddings=embeddings)
    out().print(f"{cache}: the demo data set, SYNTHETIC music", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
