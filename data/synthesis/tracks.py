"""Compose and render short tracks of a style from a seed, with numpy and scipy.

First, the four aspects of a track (rhythm, harmony, timbre, mix) are drawn, each from its own style or
sometimes from another; then the numbers of each aspect, then the notes. Therefore the style can be recognised
from the sound, but not always, and not from a single feature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from scipy import fft, signal

from data.synthesis.styles import GROOVES, SCALES, STYLES, Harmony, Mix, Rhythm, Span, Timbre

VERSION = 1
"""Increased whenever a seed produces another sound than before."""
SAMPLE_RATE = 22050
"""Sample rate of a track in Hz."""
SECONDS = 9.0
"""Length of a track in seconds."""
BORROWED = 0.05
"""Probability that an aspect of a track comes from a random style."""

_TABLE = 2048
_MAX_PARTIALS = 40
_LEVEL_DB = (-29.0, -15.0)
_CLICKS = (0.1, 3.0)
_CLICK_LEVEL = (1.0, 6.0)
_DROPOUT = 0.06

_Aspect = TypeVar("_Aspect", Rhythm, Harmony, Timbre, Mix)


@dataclass(frozen=True)
class _Voice:
    """The instrument of a track, with numbers instead of spans; see `Timbre`."""

    slope: float
    odd: float
    attack: float
    decay: float
    vibrato: float


@dataclass(frozen=True)
class _Note:
    """A note: start and duration in seconds, MIDI pitch and gain."""

    start: float
    duration: float
    pitch: int
    gain: float


def synthesise(style: str, *, seed: int, number: int) -> np.ndarray:
    """Compose and render one track.

    Parameters
    ----------
    style : str
        A key of `data.synthesis.styles.STYLES`.
    seed : int
        Seed of the data set, at least 0.
    number : int
        Number of the track in its style, from 0. Style, seed and number determine the track.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Mono samples at `SAMPLE_RATE`, within -1 and 1.

    Raises
    ------
    KeyError
        If the style does not exist.
    """
    own, styles = STYLES[style], STYLES.values()
    rng = np.random.default_rng([seed, number, *style.encode()])
    rhythm = _aspect(rng, own.rhythm, [other.rhythm for other in styles])
    harmony = _aspect(rng, own.harmony, [other.harmony for other in styles])
    timbre = _aspect(rng, own.timbre, [other.timbre for other in styles])
    mix = _aspect(rng, own.mix, [other.mix for other in styles])

    groove = GROOVES[_choice(rng, rhythm.grooves)]
    steps = _steps(rng, rhythm, len(groove[0]))
    chords, bass, melody = _compose(rng, harmony, steps, len(groove[0]))
    drive = _positive(rng, timbre.drive)
    voice = _voice(rng, timbre)
    parts = {
        "chords": _clip(_play(chords, voice), drive),
        "bass": _play(bass, _voice(rng, timbre)),
        "melody": _clip(_play(melody, _voice(rng, timbre)), math.sqrt(drive)),
        "drums": _drums(rng, groove, steps, min(0.5, max(0.0, _real(rng, rhythm.fill)))),
    }
    return _master(rng, mix, parts)


def _real(rng: Generator, span: Span) -> float:
    """Draw around the middle of a span, with tails slightly heavier than those of a normal distribution."""
    low, high = span
    return (low + high) / 2 + (high - low) / 4 * float(rng.standard_t(6))


def _positive(rng: Generator, span: Span) -> float:
    """Draw like `_real`, on a logarithmic scale."""
    return math.exp(_real(rng, (math.log(span[0]), math.log(span[1]))))


def _choice(rng: Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def _aspect(rng: Generator, own: _Aspect, of_styles: list[_Aspect]) -> _Aspect:
    """Return the style's own aspect, or sometimes that of a random style."""
    drawn = of_styles[int(rng.integers(len(of_styles)))]
    return drawn if rng.random() < BORROWED else own


def _voice(rng: Generator, timbre: Timbre) -> _Voice:
    return _Voice(
        slope=max(0.5, _real(rng, timbre.slope)),
        odd=min(1.0, max(0.0, _real(rng, timbre.odd))),
        attack=_positive(rng, timbre.attack),
        decay=_positive(rng, timbre.decay),
        vibrato=max(0.0, _real(rng, timbre.vibrato)),
    )


def _steps(rng: Generator, rhythm: Rhythm, in_bar: int) -> np.ndarray:
    """Start of each sixteenth in seconds, in whole bars that cover the track, shape (n_steps,)."""
    length = 15.0 / min(240.0, max(40.0, _positive(rng, rhythm.tempo)))
    swing = min(0.8, max(0.0, _real(rng, rhythm.swing)))
    bars = math.ceil(SECONDS / (length * in_bar))
    number = np.arange(bars * in_bar)
    late = swing * (number % 2) + rng.normal(0.0, 0.02, len(number))
    return np.maximum(0.0, (number + late) * length)


def _compose(
    rng: Generator, harmony: Harmony, steps: np.ndarray, in_bar: int
) -> tuple[list[_Note], list[_Note], list[_Note]]:
    """Compose the notes of the chords, the bass and the melody."""
    scale = SCALES[_choice(rng, harmony.scales)]
    degrees = [int(degree) - 1 for degree in _choice(rng, harmony.progressions).split()]
    comping = _choice(rng, harmony.comping)
    sevenths = _real(rng, harmony.sevenths)
    density = min(0.9, max(0.0, _real(rng, harmony.melody)))
    key = int(rng.integers(43, 55))
    step = float(np.median(np.diff(steps)))

    def pitch(degree: int) -> int:
        return key + scale[degree % 7] + 12 * (degree // 7)

    chords: list[_Note] = []
    bass: list[_Note] = []
    melody: list[_Note] = []
    place = int(rng.integers(7, 14))
    for bar, first in enumerate(range(0, len(steps), in_bar)):
        root = degrees[bar % len(degrees)]
        tones = [pitch(root + third) + 12 for third in (0, 2, 4, 6)[: 4 if rng.random() < sevenths else 3]]
        for offset, start in enumerate(steps[first : first + in_bar]):
            onset = float(start)
            if comping == "pad" and offset == 0:
                chords += [_Note(onset, step * in_bar, tone, 0.5) for tone in tones]
            elif comping == "beats" and offset % 4 == 0:
                chords += [_Note(onset, step * 3, tone, 0.5) for tone in tones]
            elif comping == "offbeats" and offset % 4 == 2:
                chords += [_Note(onset, step * 1.5, tone, 0.5) for tone in tones]
            elif comping == "arpeggio" and offset % 2 == 0:
                chords.append(_Note(onset, step * 2, tones[offset // 2 % len(tones)], 0.9))
            if offset == 0 or (offset % 2 == 0 and rng.random() < 0.25):
                bass.append(_Note(onset, step * 3, pitch(root) - 12, 1.0))
            if rng.random() < density:
                place = min(18, max(4, place + int(rng.integers(-2, 3))))
                melody.append(_Note(onset, step * float(rng.integers(1, 5)), pitch(place) + 12, 0.9))
    return chords, bass, melody


def _play(notes: list[_Note], voice: _Voice) -> np.ndarray:
    """Render notes with one instrument, shape (n_samples,)."""
    size = round(SECONDS * SAMPLE_RATE)
    y = np.zeros(size)
    tables: dict[int, np.ndarray] = {}
    for note in notes:
        begin = int(note.start * SAMPLE_RATE)
        length = min(size - begin, int((note.duration + 0.08) * SAMPLE_RATE))
        if length <= 0:
            continue
        if note.pitch not in tables:
            tables[note.pitch] = _cycle(note.pitch, voice)
        t = np.arange(length) / SAMPLE_RATE
        bend = voice.vibrato * np.sin(2 * np.pi * 5.5 * t) / 12
        cycles = _hertz(note.pitch) * np.cumsum(1 + bend * math.log(2)) / SAMPLE_RATE
        rise = np.minimum(1.0, t / voice.attack)
        release = np.clip((note.duration + 0.08 - t) / 0.08, 0.0, 1.0)
        wave = tables[note.pitch][(cycles * _TABLE).astype(np.int64) % _TABLE]
        y[begin : begin + length] += note.gain * rise * release * np.exp(-t / voice.decay) * wave
    return y


def _hertz(pitch: int) -> float:
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def _cycle(pitch: int, voice: _Voice) -> np.ndarray:
    """Compute a cycle of the instrument's wave, without partials above 45 % of the sample rate."""
    partial = np.arange(1, min(_MAX_PARTIALS, int(0.45 * SAMPLE_RATE / _hertz(pitch))) + 1)
    strength = partial**-voice.slope * np.where(partial % 2 == 0, 1 - voice.odd, 1.0)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=complex)
    spectrum[partial] = -0.5j * _TABLE * strength
    return np.asarray(fft.irfft(spectrum, _TABLE))


def _clip(y: np.ndarray, drive: float) -> np.ndarray:
    """Distort softly; small signals keep their level relative to the peak."""
    peak = float(np.abs(y).max())
    return np.tanh(drive * y / peak) if peak > 0 else y


def _drums(rng: Generator, groove: tuple[str, str, str], steps: np.ndarray, fill: float) -> np.ndarray:
    """Render kick, snare and hat, drawn for each track, shape (n_samples,)."""
    size = round(SECONDS * SAMPLE_RATE)
    y = np.zeros(size)
    for pattern, sound, level in zip(groove, _kit(rng), (1.0, 0.8, 0.35), strict=True):
        has_part = "x" in pattern
        for number, start in enumerate(steps):
            planned = pattern[number % len(pattern)] == "x" and rng.random() > _DROPOUT
            if not planned and not (has_part and rng.random() < fill):
                continue
            begin = int(start * SAMPLE_RATE)
            length = min(len(sound), size - begin)
            if length > 0:
                y[begin : begin + length] += level * rng.uniform(0.6, 1.0) * sound[:length]
    return y


def _kit(rng: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a hit of a kick, a snare and a hat."""
    t = np.arange(int(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
    low, sweep, length = rng.uniform(42, 65), rng.uniform(60, 200), rng.uniform(0.06, 0.2)
    kick = np.sin(2 * np.pi * (low * t - sweep * 0.03 * np.exp(-t / 0.03))) * np.exp(-t / length)
    noise = rng.standard_normal((2, len(t)))
    snare = 0.5 * np.sin(2 * np.pi * rng.uniform(160, 240) * t) * np.exp(-t / 0.08)
    snare += 0.5 * noise[0] * np.exp(-t / rng.uniform(0.04, 0.15))
    hat = np.diff(noise[1], prepend=0.0) * np.exp(-t / _positive(rng, (0.015, 0.08)))
    return kick, snare, hat


def _master(rng: Generator, mix: Mix, parts: dict[str, np.ndarray]) -> np.ndarray:
    """Mix the parts, add reverberation, filter, add hiss and clicks, and set the level."""
    level = {
        "chords": 0.0,
        "drums": _real(rng, mix.drums),
        "bass": _real(rng, mix.bass),
        "melody": _real(rng, mix.melody),
    }
    y = sum((_gain(level[name]) * _normal(part) for name, part in parts.items()), np.zeros(1))
    room, wet = min(5.0, _positive(rng, mix.room)), _real(rng, mix.wet)
    t = np.arange(int(room * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(t)) * np.exp(-6.9 * t / room)
    echo = signal.fftconvolve(y, tail)[: len(y)]
    y = _normal(y) + _gain(min(wet, 3.0)) * _normal(echo)
    cutoff = min(0.45 * SAMPLE_RATE, max(500.0, _positive(rng, mix.cutoff)))
    y = signal.sosfilt(signal.butter(2, cutoff, fs=SAMPLE_RATE, output="sos"), y)
    y = _normal(y) + _gain(_real(rng, mix.hiss)) * rng.standard_normal(len(y))
    y = _normal(_normal(y) + _crackle(rng, len(y))) * _gain(_real(rng, _LEVEL_DB))
    return np.clip(y, -1.0, 1.0).astype(np.float32)


def _crackle(rng: Generator, size: int) -> np.ndarray:
    """Clicks of an old record, few on most tracks and many on some, relative to a signal of power 1."""
    y = np.zeros(size)
    count = int(rng.poisson(SECONDS * min(50.0, _positive(rng, _CLICKS))))
    places = rng.integers(size, size=count)
    y[places] = _positive(rng, _CLICK_LEVEL) * rng.standard_normal(count)
    return y


def _gain(level: float) -> float:
    """Convert a level in dB to a factor."""
    return float(10 ** (level / 20))


def _normal(y: np.ndarray) -> np.ndarray:
    """Scale the signal to a root mean square of 1; silence stays silent."""
    power = float(np.sqrt(np.mean(y**2)))
    return y / power if power > 0 else y
