"""From a folder of clips to an exported model with its locked test: the time of each command on the way.

Goal: under 10 minutes for 1,000 clips of 30 s on two cores, over all families whose inputs these make
(features and, if the weights of MusiCNN are installed, embeddings). Run it with
``python -m benchmarks.end_to_end [--audio DIR]``. Without audio, it first writes clips of 30 s, which is not
timed: tracks of the demo data set, repeated, so that all accuracies are those of SYNTHETIC music.

The commands are those of a user: ``data.prepare``, ``search.run --family all``, ``results.leaderboard`` and
``results.export``. Their times contain the imports and the start of Ray.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import Measured, machine, measured
from data.io.folder import Folder

_GOAL_MINUTES = 10
_NAME = "end"


def write_clips(
    folder: Path, count: int, *, seconds: float = 30.0, seed: int = 0, workers: int | None = None
) -> None:
    """Write synthetic clips, as many of each style, as 16-bit FLAC files.

    Parameters
    ----------
    folder : Path
        Folder of the genre folders.
    count : int
        Number of clips; rounded up to a multiple of the number of styles.
    seconds : float
        Length of a clip; the tracks of the demo data set are repeated.
    seed : int
        Seed of the music.
    workers : int, optional
        Number of processes; all cores by default.
    """
    from data.pipeline.ray_map import spread
    from data.synthesis.styles import STYLES

    per_style = -(-count // len(STYLES))
    clips = [(style, number) for style in STYLES for number in range(per_style)]
    for style in STYLES:
        (folder / style).mkdir(parents=True)
    work = partial(_write_clip, folder=folder, seconds=seconds, seed=seed)
    for _ in spread(work, clips, workers=workers):
        pass


def _write_clip(clip: tuple[str, int], folder: Path, seconds: float, seed: int) -> None:
    import soundfile

    from data.synthesis.tracks import SAMPLE_RATE, synthesise

    style, number = clip
    y = np.resize(synthesise(style, seed=seed, number=number), int(seconds * SAMPLE_RATE))
    path = folder / style / f"{style}.{number:05d}.flac"
    soundfile.write(path, y, SAMPLE_RATE, format="FLAC", subtype="PCM_16")


def mark_synthetic(cache: Path) -> None:
    """Let all commands call the numbers of a cache synthetic, as they do for the demo data set."""
    folder = Folder.at(cache)
    folder.write_json("cache.json", {**folder.read_json("cache.json"), "synthetic": True})


def embedding_options() -> list[str]:
    """Options that add MusiCNN's vectors, if its weights are installed."""
    from data.analysis.encoders.musicnn_weights import find_weights
    from data.errors import EncoderError

    try:
        find_weights()
    except EncoderError:
        return []
    return ["--embedding", "musicnn"]


def stages(
    audio: Path, folder: Path, *, synthetic: bool, budget: float, trials: int | None
) -> Iterator[tuple[str, Measured]]:
    """Run the commands; yield the name of each and what was measured.

    Parameters
    ----------
    audio : Path
        Folder of the clips.
    folder : Path
        Folder for the cache, the runs and the export.
    synthetic : bool
        Whether the clips are synthetic.
    budget : float
        Seconds for the search over all families.
    trials : int or None
        Maximum number of trials per family.
    """
    cache, runs, out = folder / "cache", folder / "runs", folder / "export"
    prepare = ["data.prepare", "--audio", audio, "--cache", cache, *embedding_options()]
    yield "prepare", measured(*prepare, cwd=folder)
    if synthetic:
        mark_synthetic(cache)
    limits: list[object] = ["--time-budget", budget]
    if trials is not None:
        limits += ["--trials", trials]
    search = ["search.run", "--family", "all", "--cache", cache, "--runs", runs, "--name", _NAME]
    yield "search", measured(*search, *limits, cwd=folder)
    yield "leaderboard", measured("results.leaderboard", "--runs", runs, cwd=folder)
    yield (
        "export and locked test",
        measured("results.export", _NAME, "--runs", runs, "--out", out, cwd=folder),
    )


def table(rows: Sequence[tuple[str, Measured]]) -> str:
    """Return the measured stages as a table in Markdown, with the share of each in the whole time."""
    total = sum(stage.seconds for _, stage in rows)
    lines = [
        "| stage | seconds | share | CPU seconds | peak memory |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {stage.seconds:.0f} | {stage.seconds / total:.0%} | {stage.cpu_seconds:.0f}"
        f" | {stage.peak_bytes / 2**20:,.0f} MiB |"
        for name, stage in rows
    ]
    peak = max(stage.peak_bytes for _, stage in rows)
    cpu = sum(stage.cpu_seconds for _, stage in rows)
    lines.append(f"| **total** | **{total:.0f}** | | {cpu:.0f} | {peak / 2**20:,.0f} MiB |")
    return "\n".join(lines)


def result(folder: Path, *, synthetic: bool) -> str:
    """Describe the families and the exported model."""
    runs = Folder.at(folder / "runs")
    record: dict[str, Any] = runs.read_json(f"{_NAME}/search.json")
    exported = Folder.at(folder / "export")
    family = exported.read_json("config.json")["family"]
    metrics = exported.read_json("metrics.json")
    marked = " on SYNTHETIC music" if synthetic else ""
    scores = ", ".join(
        f"{name} {100 * metrics[name]['accuracy']:.1f} % [{100 * metrics[name]['low']:.1f},"
        f" {100 * metrics[name]['high']:.1f}] of {metrics[name]['n']} tracks"
        for name in ("validation", "test")
        if name in metrics
    )
    return f"Families: {', '.join(record['families'])}. Exported: {family}{marked}: {scores}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--audio", type=Path, help="folder with a folder of clips per genre")
    parser.add_argument("--clips", type=int, default=1000, help="synthetic clips, without --audio")
    parser.add_argument("--time-budget", type=float, default=240.0, help="seconds of the search")
    parser.add_argument("--trials", type=int, help="maximum number of trials per family")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, audio, synthetic = Path(name), options.audio, options.audio is None
        if synthetic:
            audio = folder / "audio"
            write_clips(audio, options.clips)
        before = machine()
        rows = []
        limits: dict[str, Any] = {"budget": options.time_budget, "trials": options.trials}
        for stage, done in stages(audio.absolute(), folder, synthetic=synthetic, **limits):
            print(f"{stage}: {done.seconds:.0f} s", file=sys.stderr, flush=True)
            rows.append((stage, done))
        n_clips = sum(path.is_file() for path in audio.glob("*/*"))
        kind = "synthetic clips of 30 s" if synthetic else "clips"
        minutes = sum(stage.seconds for _, stage in rows) / 60
        print(f"{n_clips:,} {kind}, {datetime.now(UTC):%d %B %Y}; before: {before}; after: {machine()}\n")
        print(table(rows))
        print(f"\n{minutes:.1f} minutes (goal for 1,000 clips: under {_GOAL_MINUTES})")
        print(result(folder, synthetic=synthetic))


if __name__ == "__main__":
    main()
