"""Decode and analyse uploads in several processes, while the network stays in the server's own process."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from data.analysis.stft import mel_bank
from data.errors import HarnessError
from results.model.reader import ModelInputs, Reader
from results.serving.spectrogram import spectrogram_png


@dataclass(frozen=True)
class AnalysedUpload:
    """What was read from an upload.

    Attributes
    ----------
    inputs : list of ModelInputs
        One per reader of the model.
    spectrogram : bytes or None
        PNG image, if one was requested.
    """

    inputs: list[ModelInputs]
    spectrogram: bytes | None


def analyse(readers: Sequence[Reader], path: str, *, longest_s: float, draw: bool) -> AnalysedUpload:
    """Read a file for a model.

    Parameters
    ----------
    readers : sequence of Reader
        How the model reads it.
    path : str
        The file.
    longest_s : float
        Longest song in seconds.
    draw : bool
        Whether to draw a spectrogram.

    Raises
    ------
    AudioError
        If the file cannot be used.
    """
    inputs = [reader.read(path, longest_s=longest_s) for reader in readers]
    return AnalysedUpload(inputs, spectrogram_png(path) if draw else None)


class AnalysisPool:
    """Processes that analyse uploads.

    Parameters
    ----------
    readers : sequence of Reader
        How the model reads a file.
    workers : int
        Number of processes; 0 analyses in threads of this process, one file at a time.
    longest_s : float
        Longest song in seconds.
    """

    def __init__(self, readers: Sequence[Reader], *, workers: int, longest_s: float) -> None:
        self._readers = tuple(readers)
        self._workers = workers
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._executor = self._start()

    def _start(self) -> Executor:
        if not self._workers:
            return ThreadPoolExecutor(1)
        # Not forked: TensorFlow's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context)

    def warm_up(self) -> None:
        """Import the libraries in every process, so that the first upload does not wait for them."""
        for future in [self._executor.submit(_import_libraries) for _ in range(self._workers)]:
            future.result()

    def analyse(self, path: str | Path, *, draw: bool) -> AnalysedUpload:
        """Analyse a file; wait while all processes are busy.

        Raises
        ------
        AudioError
            If the file cannot be used.
        HarnessError
            If the process that analysed it died; another one takes its place.
        """
        executor = self._executor
        try:
            task = executor.submit(analyse, self._readers, str(path), longest_s=self._longest_s, draw=draw)
            return task.result()
        except BrokenProcessPool as error:
            with self._lock:
                if self._executor is executor:
                    self._executor = self._start()
            raise HarnessError(f"{path}: the process that analysed the file died; try again") from error

    def close(self) -> None:
        """Finish what is running, and end the processes."""
        self._executor.shutdown(cancel_futures=True)


def _import_libraries() -> None:
    import soxr  # noqa: F401
    from scipy import fft  # noqa: F401

    mel_bank(22050, 2048, 128, 0.0, 11025.0)
