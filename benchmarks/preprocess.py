"""Speed of feature extraction: plain librosa calls and this project, in one run.

Goals: at least 10 times as fast on one core, ideally 15 times, and another 1.8 times as fast on two cores.
Run it with ``python -m benchmarks.preprocess [--audio DIR]``. Without audio, it uses synthetic clips of 30 s.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from threadpoolctl import threadpool_limits

from data.analysis.feature_names import FEATURES
from data.analysis.hpss import harmonic_percussive
from data.analysis.kinds import FEATURE_KIND
from data.analysis.parameters import Parameters
from data.analysis.segments import of_file
from data.analysis.stft import Spectrum
from data.analysis.tempo import tempo
from data.audio.decode import load
from data.io.heap import keep_freed_memory
from data.pipeline.ray_map import spread

SR = 22050
_REPEATS = 3


def naive(path: str) -> np.ndarray:
    """Extract the published features by plain librosa calls; each call starts from the samples."""
    import librosa
    from librosa import feature

    y, sr = librosa.load(path, sr=SR)
    mirrored = {"y": y, "pad_mode": "reflect"}
    H, P = librosa.decompose.hpss(librosa.stft(y, pad_mode="reflect"))  # type: ignore[attr-defined]
    series = {
        "chroma_stft": feature.chroma_stft(sr=sr, **mirrored),
        "rms": feature.rms(**mirrored),
        "spectral_centroid": feature.spectral_centroid(sr=sr, **mirrored),
        "spectral_bandwidth": feature.spectral_bandwidth(sr=sr, **mirrored),
        "rolloff": feature.spectral_rolloff(sr=sr, **mirrored),
        "zero_crossing_rate": feature.zero_crossing_rate(y),
        "harmony": librosa.util.fix_length(librosa.istft(H), size=len(y)),
        "perceptr": librosa.util.fix_length(librosa.istft(P), size=len(y)),
    }
    series |= {f"mfcc{n + 1}": row for n, row in enumerate(feature.mfcc(sr=sr, n_mfcc=20, **mirrored))}
    onsets = librosa.onset.onset_strength(y=y, sr=sr, aggregate=np.median)  # type: ignore[attr-defined]
    values = {"tempo": float(feature.tempo(onset_envelope=onsets, sr=sr)[0])}
    for name, row in series.items():
        values |= {f"{name}_mean": float(np.mean(row)), f"{name}_var": float(np.var(row))}
    return np.array([values[name] for name in FEATURES])


def ours(path: str) -> np.ndarray:
    """Extract the same features with one decode and one transform."""
    return of_file(path, Parameters(), FEATURE_KIND)[0][0]


def seconds(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Measure the minimum time of several repetitions, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def synthetic_clips(folder: Path, count: int) -> list[str]:
    """Write clips with a chord, a beat and noise; the content hardly affects the time."""
    import soundfile

    rng = np.random.default_rng(0)
    times = np.arange(30 * SR) / SR
    paths = []
    for number in range(count):
        y = sum(np.sin(2 * np.pi * hz * times) for hz in rng.uniform(80, 2000, 6)) / 12
        y += rng.normal(size=len(times)) * (0.02 + 0.3 * np.exp(-20 * (times % 0.5)))
        path = folder / f"{number}.wav"
        soundfile.write(path, np.clip(0.5 * y, -1, 1), SR)
        paths.append(str(path))
    return paths


def all_cores(work: Callable[[str], object], paths: list[str]) -> float:
    """Measure the seconds per clip with Ray tasks on all cores, after a warm-up."""
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        cores = int(ray.cluster_resources()["CPU"])

        def batch(batch_paths: list[str]) -> None:
            for path in batch_paths:
                work(path)

        # A task processes a batch of clips, as in data.prepare.
        batches = [paths] * (8 * cores)
        list(spread(batch, batches[: 2 * cores]))
        return seconds(lambda: list(spread(batch, batches)), 2) / (len(paths) * len(batches))
    finally:
        ray.shutdown()


@click.command()
@click.option(
    "--audio", type=click.Path(path_type=Path, exists=True), help="Folder with audio, at any depth."
)
@click.option("--clips", default=8, help="Number of clips.")
def main(audio: Path | None, clips: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if audio is None:
            paths = synthetic_clips(Path(folder), clips)
        else:
            paths = [str(path) for path in sorted(audio.rglob("*")) if path.suffix in {".wav", ".ogg"}][
                :clips
            ]
        # One core per clip for both sides.
        with threadpool_limits(1):
            measure(paths)


def measure(paths: list[str]) -> None:
    """Measure both sides and print the table."""
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {len(paths)} clips")
    naive(paths[0])
    ours(paths[0])
    plain = np.mean([seconds(lambda path=path: naive(path), 1) for path in paths])
    # As in the workers of data.prepare; not before, because the plain side does not do it.
    keep_freed_memory()
    fast = np.mean([seconds(lambda path=path: ours(path)) for path in paths])
    parts = np.mean([part_seconds(path) for path in paths], axis=0)
    floor = parts[0] + parts[1]
    print(f"plain librosa, one core: {1 / plain:.2f} clips/s ({1e3 * plain:.0f} ms per clip)")
    print(f"ours, one core: {1 / fast:.2f} clips/s ({1e3 * fast:.0f} ms per clip)")
    print(f"ours is {plain / fast:.1f} times as fast as plain librosa")
    print(f"ours takes {fast / floor:.1f} times as long as decoding and one transform ({1e3 * floor:.0f} ms)")
    names = ("decode", "transform", "harmonic and percussive", "tempo")
    for name, part in zip((*names, "the rest"), (*parts, fast - parts.sum()), strict=True):
        print(f"  {name}: {1e3 * part:.0f} ms, {part / fast:.0%}")
    parallel = all_cores(ours, paths)
    print(f"ours, all cores: {1 / parallel:.2f} clips/s, {fast / parallel:.2f} times one core")
    worst = max(float(np.max(np.abs(ours(path) / naive(path) - 1))) for path in paths[:2])
    print(f"largest relative difference of a feature: {worst:.1e}")


def part_seconds(path: str) -> np.ndarray:
    """Measure decoding, transform, harmonic-percussive separation and tempo, in seconds, shape (4,)."""
    y = load(path).y
    S = Spectrum.of(y)
    _ = S.magnitude, S.log_mel
    return np.array(
        [
            seconds(lambda: load(path)),
            seconds(lambda: Spectrum.of(y)),
            seconds(lambda: harmonic_percussive(y, S)),
            seconds(lambda: tempo(S)),
        ]
    )


if __name__ == "__main__":
    main()
