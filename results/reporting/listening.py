"""Clips of the tracks that a report shows, within a size limit."""

from __future__ import annotations

from typing import Any, Literal

from data.cache.cache import Cache
from data.cache.writer import OK
from data.errors import HarnessError
from data.inspection.clips import Clip, make_clip
from results.evaluation.descriptions import source
from search.storage.run_info import RunInfo

AudioChoice = Literal["clips", "none"]
AUDIO_CHOICES: tuple[AudioChoice, ...] = ("clips", "none")

_MAX_BYTES = 4_000_000
"""Maximum size of all clips in a report, so that it can still be sent by mail."""
_SOURCES = ("audio", "demo")


class Listening:
    """The clips of a report; each track is decoded once.

    Parameters
    ----------
    audio : str
        ``none`` leaves all clips out.
    max_bytes : int
        Maximum size of all clips.
    """

    def __init__(self, audio: AudioChoice = "clips", max_bytes: int = _MAX_BYTES) -> None:
        self.wanted = audio != "none"
        self._left = max_bytes
        self._caches: dict[str, tuple[dict[str, dict[str, Any]], str]] = {}
        self._clips: dict[tuple[str, str], Clip] = {}

    def clips(self, info: RunInfo, tracks: list[str]) -> tuple[dict[str, Clip], str]:
        """Make the clips of tracks.

        Parameters
        ----------
        info : RunInfo
            The run whose cache names the audio files.
        tracks : list of str
            Names of the tracks, the most important first.

        Returns
        -------
        clips : dict of str to Clip
            The clips by track; without those that are unreadable or beyond the limit.
        note : str
            Why clips are missing; empty if all were made.
        """
        if not self.wanted:
            return {}, "Made with --audio none: nothing to listen to."
        rows, problem = self._manifest(info)
        if problem:
            return {}, f"Nothing to listen to: {problem}."
        made: dict[str, Clip] = {}
        problems: list[str] = []
        tracks = list(dict.fromkeys(tracks))
        for number, track in enumerate(tracks):
            if self._left <= 0:
                return made, f"Only the first {number} of {len(tracks)} tracks can be heard."
            clip = self._clip(info.cache.uri, track, rows.get(track))
            if clip.player:
                made[track] = clip
            else:
                problems.append(clip.problem)
        if problems:
            return (
                made,
                f"{len(problems)} of {len(tracks)} tracks cannot be heard, for example: {problems[0]}.",
            )
        return made, ""

    def _clip(self, uri: str, track: str, row: dict[str, Any] | None) -> Clip:
        if (uri, track) not in self._clips:
            clip = Clip(track, "", problem=f"{track}: not in the cache") if row is None else make_clip(row)
            self._left -= len(clip.player) + len(clip.picture)
            self._clips[uri, track] = clip
        return self._clips[uri, track]

    def _manifest(self, info: RunInfo) -> tuple[dict[str, dict[str, Any]], str]:
        """Read the tracks of a run's cache; the reason if they are not known."""
        if info.cache.source not in _SOURCES:
            return {}, f"the data is {source(info)}, without audio"
        if info.cache.uri not in self._caches:
            self._caches[info.cache.uri] = _read(info)
        return self._caches[info.cache.uri]


def _read(info: RunInfo) -> tuple[dict[str, dict[str, Any]], str]:
    try:
        cache = Cache.open(info.cache.uri)
        if info.cache.data not in (cache.collection, cache.info.fingerprint):
            return {}, f"the cache {info.cache.uri} holds other data now"
        table = cache.folder.read_table(
            "manifest.parquet", ["track_id", "label", "path", "duration_s", "status"]
        )
    except (HarnessError, OSError) as error:
        return {}, f"the cache of this search cannot be read ({' '.join(str(error).split())})"
    return {row["track_id"]: row for row in table.to_pylist() if row["status"] == OK}, ""
