"""The ten styles of the demo data set: tempo, drums, harmony, timbre and mix.

The styles are invented and have names of genres; no recording was measured. A `Span` covers most tracks of a
style, but is not a bound, so that similar styles overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[float, float]
"""Values two standard deviations below and above the mean of a style."""


GROOVES: dict[str, tuple[str, str, str]] = {
    "none": ("................", "................", "................"),
    "sparse": ("x...............", "............x...", "..x...x...x...x."),
    "four": ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    "rock": ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "double": ("xxxxxxxxxxxxxxxx", "....x.......x...", "x...x...x...x..."),
    "funk": ("x..x..x...x..x..", "....x..x.x..x...", "xxxxxxxxxxxxxxxx"),
    "breakbeat": ("x.x.......xx....", "....x..x.x..x..x", "x.x.x.x.x.x.x.x."),
    "bossa": ("x..xx..xx..xx..x", "x..x..x...x..x..", "x.x.x.x.x.x.x.x."),
    "one_drop": ("........x.......", "........x.......", "..x...x...x...x."),
    "march": ("x...x...x...x...", "..x.xxx...x.xxx.", "x...x...x...x..."),
    "swing": ("x.......x.......", "............x..x", "x...x..xx...x..x"),
    "waltz": ("x...........", "....x...x...", "x...x...x..."),
}
"""Patterns of kick, snare and hat on the sixteenths of a bar."""

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}
"""Semitones of the seven degrees above the key note."""


@dataclass(frozen=True)
class Rhythm:
    """Tempo and drums.

    Attributes
    ----------
    tempo : Span
        Beats per minute.
    swing : Span
        Delay of every second sixteenth, as a fraction of a sixteenth.
    grooves : tuple of str
        Names of `GROOVES` to choose from.
    fill : Span
        Probability of an additional hit on a step.
    """

    tempo: Span
    swing: Span
    grooves: tuple[str, ...]
    fill: Span


@dataclass(frozen=True)
class Harmony:
    """Chords and accompaniment.

    Attributes
    ----------
    scales : tuple of str
        Names of `SCALES` to choose from.
    progressions : tuple of str
        Degrees of the scale, from 1, one per bar, to choose from.
    sevenths : Span
        Probability that a chord has a seventh.
    comping : tuple of str
        How chords are played: ``pad``, ``beats``, ``offbeats`` or ``arpeggio``.
    melody : Span
        Notes of the melody per sixteenth.
    """

    scales: tuple[str, ...]
    progressions: tuple[str, ...]
    sevenths: Span
    comping: tuple[str, ...]
    melody: Span


@dataclass(frozen=True)
class Timbre:
    """Sound of the pitched instruments.

    Attributes
    ----------
    slope : Span
        Exponent of the decrease of the partials: 1 is a sawtooth, 2 is soft.
    odd : Span
        Missing fraction of the even partials: 1 sounds hollow.
    attack, decay : Span
        Times in seconds.
    vibrato : Span
        Depth in semitones.
    drive : Span
        Gain before a soft clipper.
    """

    slope: Span
    odd: Span
    attack: Span
    decay: Span
    vibrato: Span
    drive: Span


@dataclass(frozen=True)
class Mix:
    """Levels and the room.

    Attributes
    ----------
    drums, bass, melody, hiss : Span
        Levels in dB relative to the chords.
    cutoff : Span
        Cutoff frequency of the low-pass filter in Hz.
    room : Span
        Time in seconds in which the reverberation decays by 60 dB.
    wet : Span
        Level of the reverberation in dB relative to the dry sound.
    """

    drums: Span
    bass: Span
    melody: Span
    hiss: Span
    cutoff: Span
    room: Span
    wet: Span


@dataclass(frozen=True)
class Style:
    """A style in four aspects, each of which a track can borrow from another style."""

    rhythm: Rhythm
    harmony: Harmony
    timbre: Timbre
    mix: Mix


STYLES: dict[str, Style] = {
    "ambient": Style(
        Rhythm((60, 84), (0.0, 0.1), ("none", "sparse"), (0.00, 0.03)),
        Harmony(("major", "dorian"), ("1 4 1 5", "1 6 4 1"), (0.4, 0.8), ("pad",), (0.03, 0.10)),
        Timbre((1.7, 2.5), (0.0, 0.5), (0.15, 0.50), (1.5, 4.0), (0.05, 0.25), (0.3, 0.8)),
        Mix((-22, -10), (-9, -1), (-8, 0), (-46, -34), (1800, 4500), (1.5, 3.5), (-8, 0)),
    ),
    "bossa": Style(
        Rhythm((112, 142), (0.0, 0.1), ("bossa", "sparse"), (0.02, 0.08)),
        Harmony(
            ("major", "dorian"),
            ("2 5 1 6", "1 2 5 1", "1 6 2 5"),
            (0.7, 1.0),
            ("offbeats", "arpeggio"),
            (0.12, 0.3),
        ),
        Timbre((1.6, 2.4), (0.1, 0.5), (0.004, 0.015), (0.25, 0.7), (0.02, 0.1), (0.3, 0.8)),
        Mix((-12, -4), (-5, 2), (-5, 3), (-52, -38), (3500, 7500), (0.4, 1.0), (-16, -8)),
    ),
    "chiptune": Style(
        Rhythm((125, 165), (0.0, 0.05), ("four", "rock", "march"), (0.02, 0.12)),
        Harmony(("major", "minor"), ("1 5 6 4", "1 4 5 1", "6 4 1 5"), (0.0, 0.2), ("arpeggio",), (0.3, 0.6)),
        Timbre((0.9, 1.4), (0.6, 1.0), (0.001, 0.004), (0.12, 0.4), (0.0, 0.15), (0.8, 2.5)),
        Mix((-10, -2), (-5, 3), (-2, 5), (-62, -46), (6500, 10500), (0.1, 0.4), (-30, -18)),
    ),
    "dub": Style(
        Rhythm((68, 92), (0.05, 0.25), ("one_drop", "sparse"), (0.01, 0.06)),
        Harmony(
            ("minor", "dorian"), ("1 1 4 1", "1 7 1 7", "1 4 1 5"), (0.1, 0.5), ("offbeats",), (0.03, 0.15)
        ),
        Timbre((1.3, 2.0), (0.2, 0.7), (0.002, 0.010), (0.10, 0.3), (0.0, 0.1), (0.6, 2.0)),
        Mix((-5, 2), (2, 8), (-8, 0), (-48, -36), (2600, 6000), (1.0, 2.5), (-12, -3)),
    ),
    "folk": Style(
        Rhythm((88, 124), (0.0, 0.2), ("none", "sparse", "waltz"), (0.01, 0.06)),
        Harmony(
            ("major", "mixolydian"),
            ("1 4 5 1", "1 5 6 4", "1 4 1 5"),
            (0.0, 0.3),
            ("arpeggio", "beats"),
            (0.15, 0.35),
        ),
        Timbre((1.2, 1.8), (0.0, 0.3), (0.003, 0.012), (0.4, 1.1), (0.02, 0.12), (0.3, 0.8)),
        Mix((-20, -10), (-10, -2), (-4, 4), (-50, -36), (4500, 8500), (0.4, 1.0), (-18, -9)),
    ),
    "funk": Style(
        Rhythm((94, 118), (0.05, 0.3), ("funk", "breakbeat"), (0.08, 0.2)),
        Harmony(
            ("dorian", "mixolydian"),
            ("1 1 4 1", "1 4 1 4", "2 5 2 5"),
            (0.6, 1.0),
            ("offbeats", "beats"),
            (0.12, 0.35),
        ),
        Timbre((1.1, 1.6), (0.0, 0.5), (0.002, 0.006), (0.08, 0.25), (0.0, 0.08), (0.8, 2.2)),
        Mix((-4, 3), (0, 6), (-6, 2), (-56, -42), (5000, 9000), (0.2, 0.6), (-22, -12)),
    ),
    "metal": Style(
        Rhythm((112, 172), (0.0, 0.05), ("rock", "double", "march"), (0.06, 0.2)),
        Harmony(
            ("minor", "phrygian"),
            ("1 1 2 1", "1 6 7 1", "1 7 6 7"),
            (0.0, 0.1),
            ("beats", "pad"),
            (0.1, 0.35),
        ),
        Timbre((0.8, 1.3), (0.0, 0.3), (0.002, 0.008), (0.5, 1.5), (0.05, 0.25), (5.0, 18.0)),
        Mix((-4, 3), (-4, 3), (-5, 3), (-46, -32), (4800, 8800), (0.3, 0.9), (-20, -10)),
    ),
    "swing": Style(
        Rhythm((116, 168), (0.3, 0.6), ("swing", "sparse"), (0.03, 0.1)),
        Harmony(
            ("mixolydian", "major"),
            ("1 6 2 5", "1 4 1 5", "2 5 1 1"),
            (0.7, 1.0),
            ("beats", "offbeats"),
            (0.2, 0.45),
        ),
        Timbre((1.3, 1.9), (0.2, 0.8), (0.008, 0.030), (0.2, 0.6), (0.08, 0.3), (0.6, 1.8)),
        Mix((-9, -1), (-3, 4), (-2, 5), (-42, -28), (3000, 6500), (0.5, 1.2), (-16, -7)),
    ),
    "techno": Style(
        Rhythm((120, 142), (0.0, 0.1), ("four",), (0.03, 0.12)),
        Harmony(
            ("minor", "phrygian"),
            ("1 1 1 1", "1 1 6 7", "1 7 1 7"),
            (0.1, 0.5),
            ("offbeats", "arpeggio", "pad"),
            (0.05, 0.25),
        ),
        Timbre((1.0, 1.6), (0.0, 0.6), (0.002, 0.020), (0.10, 0.5), (0.0, 0.1), (1.0, 4.0)),
        Mix((0, 7), (-1, 5), (-8, 0), (-58, -42), (4500, 9500), (0.4, 1.6), (-18, -7)),
    ),
    "waltz": Style(
        Rhythm((110, 176), (0.0, 0.15), ("waltz",), (0.01, 0.05)),
        Harmony(
            ("major", "minor"), ("1 5 1 4", "1 4 5 1", "1 6 2 5"), (0.1, 0.5), ("beats", "pad"), (0.12, 0.35)
        ),
        Timbre((1.3, 2.0), (0.0, 0.4), (0.020, 0.090), (0.5, 1.5), (0.1, 0.35), (0.3, 1.0)),
        Mix((-18, -8), (-6, 1), (-2, 5), (-48, -34), (3200, 7000), (0.8, 2.2), (-13, -4)),
    ),
}
"""Styles by name, sorted."""
