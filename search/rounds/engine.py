"""Run a search over several families: their BASELINEs, then rounds, on one Ray and within one budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data.dataset.scores import difference_text, sign
from data.errors import RunError
from search.judgement import in_order
from search.plan import now
from search.progress.search_view import SearchView
from search.progress.state import STOPPED, WAITING, FamilyProgress, clock
from search.rounds.allocation import (
    MIN_TRIALS,
    SHORTEST_ROUND,
    is_surely_worse,
    round_trials,
    seconds_for_finals,
    slice_seconds,
)
from search.rounds.entrant import Entrant
from search.rounds.finals import Final, missing_final, train_final
from search.storage.search_record import SearchRecord, write_record
from search.tune.interruption import interruptible_threads
from search.tune.stopper import STAGNATION, TARGET


def play(runs: str | Path, record: SearchRecord, entrants: Sequence[Entrant]) -> SearchRecord:
    """Give the time to the families in rounds until it is used, or all have their trials.

    Parameters
    ----------
    runs : str or Path
        Folder of the runs.
    record : SearchRecord
        Record of the search.
    entrants : sequence of Entrant
        Its families, whose runs this process has locked.

    Returns
    -------
    SearchRecord
        The record at the end, which is stored; ``interrupted`` if the user stopped the search.
    """
    rounds = _Rounds(runs, record, entrants)
    try:
        rounds.play()
    except KeyboardInterrupt:
        # Between two rounds, where Tune does not listen.
        rounds.interrupted = True
    return rounds.close()


class _Rounds:
    """The rounds of one session.

    Two lanes train at the same time, each in a thread of its own, where the cluster has room for both:
    families that use GPUs in one and the others in the other, or two of the same kind with half of the trials
    each. A round ends with its longest trial, while the other lane keeps the rest of the cluster busy.
    """

    def __init__(self, runs: str | Path, record: SearchRecord, entrants: Sequence[Entrant]) -> None:
        self.interrupted = False
        self._runs = runs
        self._record = record
        self._entrants = entrants
        self._began = time.monotonic()
        self._stopped = dict(record.stopped)
        self._reached = False
        self._lanes = 1
        self._playing: set[str] = set()
        self._unfinished: dict[str, int] = {}
        self._lock = threading.RLock()
        # Ended trials per family, and the seconds that are kept for finals then.
        self._kept: tuple[tuple[int, ...], float] | None = None
        self._families = [
            FamilyProgress(
                entrant.run.name,
                entrant.family,
                entrant.settings.metric,
                record.trials,
                state=STOPPED if entrant.family in self._stopped else WAITING,
                reason=self._stopped.get(entrant.family, ""),
            )
            for entrant in entrants
        ]
        self._view = SearchView(
            record.name, self._families, time_budget=record.time_budget, before=record.seconds
        )

    def play(self) -> None:
        for entrant, progress in zip(self._entrants, self._families, strict=True):
            entrant.read(progress)
            self._unfinished[entrant.family] = entrant.started - entrant.ended
        with self._view:
            self._play()

    def _play(self) -> None:
        lanes = [
            [entrant for entrant in self._entrants if entrant.uses_gpus is kind] for kind in (True, False)
        ]
        if not all(entrant.beside for entrant in self._entrants):
            self._play_rounds(self._entrants)
        elif all(lanes):
            self._play_lanes(lanes)
        else:
            self._play_lanes([self._entrants, self._entrants])
        self._train_finals()

    def _play_lanes(self, lanes: Sequence[Sequence[Entrant]]) -> None:
        """Play the rounds of each lane in a thread of its own."""
        self._lanes = len(lanes)
        with interruptible_threads() as interruption, ThreadPoolExecutor(len(lanes)) as threads:

            def play_lane(lane: Sequence[Entrant]) -> None:
                try:
                    self._play_rounds(lane)
                except BaseException:
                    # The other lane cannot continue alone: the search ends with this error.
                    interruption.request()
                    raise
                finally:
                    with self._lock:
                        self._lanes -= 1
                        self.interrupted |= interruption.requested

            # All start before a result is awaited, which raises the error of a lane.
            for future in [threads.submit(play_lane, lane) for lane in lanes]:
                future.result()

    def _play_rounds(self, entrants: Sequence[Entrant]) -> None:
        """Play the rounds of families that take turns, until none of them has another round."""
        while (turn := self._next_round(entrants)) is not None:
            entrant, trials = turn
            try:
                self._train(entrant, trials)
            finally:
                with self._lock:
                    self._playing.remove(entrant.family)
            self._stop_losers()

    def _next_round(self, entrants: Sequence[Entrant]) -> tuple[Entrant, int] | None:
        """Choose the next family and its number of trials; None if there is none.

        An interrupted round comes first: its unfinished trials resume from their checkpoints. Then come the
        BASELINEs, and then the family that has had the least time.
        """
        with self._lock:
            if self._is_over():
                return None
            waiting = [entrant for entrant in entrants if entrant.family not in self._playing]
            for entrant in sorted(waiting, key=self._turn):
                trials = self._unfinished.pop(entrant.family, 0)
                if not trials and (entrant.ended == 0 or entrant.family not in self._stopped):
                    trials = self._wanted(entrant, entrants)
                if trials:
                    self._playing.add(entrant.family)
                    return entrant, trials
        return None

    def _turn(self, entrant: Entrant) -> tuple[bool, bool, float]:
        return not self._unfinished.get(entrant.family), entrant.ended > 0, entrant.seconds

    def _train_finals(self) -> None:
        """Train the best trials of hold-out families on all folds, as far as time allows."""
        for final in self._finals():
            if self.interrupted:
                return
            left = self._left()
            family, n_tracks = final.settings.family, len(final.trial.track_id)
            if left is not None and left < final.seconds:
                self._view.print(
                    f"{family} is compared on {n_tracks} tracks: training its best trial on all folds would"
                    f" take {clock(final.seconds)}, and {clock(max(0.0, left))} are left"
                )
                continue
            self._view.print(f"{family}: training {final.trial.name} on all folds")
            try:
                for ended in train_final(final, seconds=left):
                    self._view.print(f"{family}: {ended} of {len(final.folds)} further folds trained")
            except RunError as error:
                self._view.print(f"{family} is compared on {n_tracks} tracks: {error}")
            self._write(status="running")

    def _finals(self) -> list[Final]:
        """List what is to be trained on all folds, the most promising family first."""
        runs = [entrant.run for entrant in self._entrants]
        finals = {
            final.run.name: final
            for entrant in self._entrants
            if entrant.family not in self._stopped
            and (
                final := missing_final(
                    entrant.run, entrant.settings, entrant.task, runs, concurrent=entrant.concurrent
                )
            )
        }
        best = [entrant.best for entrant in self._entrants if entrant.best is not None]
        return [finals[trial.run] for trial in in_order(best) if trial.run in finals]

    def close(self) -> SearchRecord:
        """Write the records of the end."""
        for entrant in self._entrants:
            info = entrant.run.info()
            if info.status == "running":
                # It never had a turn.
                entrant.run.write_info(info.model_copy(update={"status": "interrupted", "ended": now()}))
        status = "interrupted" if self.interrupted else "finished"
        return self._write(status=status, ended=now())

    @property
    def _seconds(self) -> float:
        return self._record.seconds + time.monotonic() - self._began

    def _left(self) -> float | None:
        budget = self._record.time_budget
        return None if budget is None else budget - self._seconds

    def _left_for_rounds(self) -> float | None:
        """Return the seconds left without those that are kept for finals."""
        left, budget = self._left(), self._record.time_budget
        if left is None or budget is None or any(entrant.ended == 0 for entrant in self._entrants):
            return left
        ended = tuple(entrant.ended for entrant in self._entrants)
        if self._kept is None or self._kept[0] != ended:
            estimates = [final.seconds for final in self._finals()]
            self._kept = (ended, seconds_for_finals(estimates, time_budget=budget))
        return left - self._kept[1]

    def _is_over(self) -> bool:
        left = self._left_for_rounds()
        return self.interrupted or self._reached or (left is not None and left < SHORTEST_ROUND)

    def _wanted(self, entrant: Entrant, entrants: Sequence[Entrant]) -> int:
        """Return the number of trials of a family's next round; `entrants` take turns with it."""
        budget = self._record.time_budget
        playing = max(1, sum(other.family not in self._stopped for other in entrants))
        if budget is not None and self._lanes > 1 and entrants is self._entrants:
            # Both lanes give their time to the same families.
            budget *= self._lanes
        return round_trials(
            ended=entrant.ended,
            seconds=entrant.seconds,
            slice_length=None if budget is None else slice_seconds(budget, playing),
            concurrent=entrant.beside if self._lanes > 1 else entrant.concurrent,
            wanted=self._record.trials,
        )

    def _train(self, entrant: Entrant, trials: int) -> None:
        reason = entrant.train(
            trials, seconds_left=self._left_for_rounds(), view=self._view, shared=self._lanes > 1
        )
        with self._lock:
            self.interrupted |= reason == "interrupted"
            self._reached |= reason == TARGET
            if reason == STAGNATION:
                self._stop(entrant, f"no progress over {entrant.settings.stagnation} trials")
            self._write(status="running")

    def _stop_losers(self) -> None:
        """Give no more time to families that are surely worse than the leader, or have no score at all."""
        with self._lock:
            self._stop_those_behind()

    def _stop_those_behind(self) -> None:
        scored = [entrant.best for entrant in self._entrants if entrant.best is not None]
        leader = next(iter(in_order(scored)), None)
        self._view.leader = None if leader is None else leader.run
        for entrant in self._entrants:
            if entrant.family in self._stopped or entrant.ended < MIN_TRIALS:
                continue
            if entrant.best is None:
                self._stop(entrant, f"none of its {entrant.ended} trials has a score")
            elif leader is not None and leader is not entrant.best:
                test = entrant.best.against(leader)
                if test is not None and is_surely_worse(test, ended=entrant.ended):
                    side = "below" if sign(test.metric) > 0 else "above"
                    difference = difference_text(test.difference, test.low, test.high, test.metric)
                    self._stop(
                        entrant,
                        f"its best is surely {side} {leader.name}: {difference} after {entrant.ended} trials",
                    )

    def _stop(self, entrant: Entrant, reason: str) -> None:
        self._stopped[entrant.family] = reason
        self._view.stop_family(entrant.family, reason)

    def _write(self, *, status: str, ended: str | None = None) -> SearchRecord:
        record = self._record.model_copy(
            update={"status": status, "seconds": self._seconds, "stopped": self._stopped, "ended": ended}
        )
        write_record(self._runs, record)
        return record
