"""Choose the members of an ensemble, train each once more, and export them as one model that votes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import RunError
from results import bundle
from results.classifier import Classifier
from results.ensemble import EnsembleConfig
from results.ensemble_card import ensemble_card
from results.exporting import earlier_scorings, new_folder, write_model
from results.formats import check_available
from results.judgement import Judgement
from results.picture import confusion_picture
from results.ranking import Board, Entry
from results.refit import Refit, refit
from results.scoring import judge
from results.trials import Trial, find_trial
from spaces.training.run_folder import RunFolder
from spaces.training.votes import vote


def choose_members(board: Board, count: int, runs: str) -> list[Trial]:
    """Choose trials of a board: the best of each family first, then the next best of all.

    Members that err in different ways help each other more than the next best of one family would, and
    networks of different families do.

    Parameters
    ----------
    board : Board
        With at least its `count` best entries and the best of each family.
    count : int
        How many to choose.
    runs : str
        Folder of the runs.

    Raises
    ------
    RunError
        If there are fewer scored trials.
    """
    heads: dict[str, Entry] = {}
    for entry in board.entries:
        heads.setdefault(entry.family, entry)
    first = list(heads.values())
    chosen = [*first, *(entry for entry in board.entries if entry not in first)][:count]
    if len(chosen) < count:
        raise RunError(f"--top {count}: only {len(chosen)} trials have a score here")
    return [find_trial(RunFolder.at(runs, entry.run), entry.trial_id) for entry in chosen]


def export_ensemble(
    trials: Sequence[Trial],
    out: str | Path,
    *,
    runs: str,
    cache: str | None = None,
    formats: Sequence[str] = (),
) -> dict[str, Any]:
    """Export trials on the same data and split as one model that votes.

    The locked test is scored once, by the vote; the members alone are not scored on it.

    Parameters
    ----------
    trials : sequence of Trial
        The members, at least two.
    out : str or Path
        The folder to make; it appears whole, at the end.
    runs, cache, formats
        As for `results.exporting.export_trial`.

    Returns
    -------
    dict
        The metrics, as in ``metrics.json``.

    Raises
    ------
    RunError
        If the trials are on different data or splits.
    ExportError
        If the folder is there already, or cannot be written.
    """
    info = trials[0].info
    same = {(trial.info.cache.fingerprint, trial.info.split_fingerprint) for trial in trials}
    if len(same) > 1:
        raise RunError("the members of an ensemble must be of the same data and split")
    with new_folder(out) as folder:
        check_available(formats)
        metrics = {"validation": _validation(trials)}
        names = [f"{number}-{trial.info.family}" for number, trial in enumerate(trials, start=1)]
        created = datetime.now(UTC).isoformat(timespec="seconds")
        locked: list[np.ndarray] = []
        trained: Refit | None = None
        for name, trial in zip(names, trials, strict=True):
            trained = refit(trial, cache=cache)
            (folder / name).mkdir()
            write_model(trial, trained, folder / name, formats)
            if trained.locked is not None:
                task = trained.locked
                rows = Classifier.load(folder / name).judge_rows(task.X)
                locked.append(vote(rows, task.track, len(task.track_id)))
        if trained is None:
            raise RunError("an ensemble needs members")
        config = EnsembleConfig(
            members=names,
            synthetic=info.cache.synthetic,
            cache_fingerprint=info.cache.fingerprint,
            split_fingerprint=info.split_fingerprint,
            created=created,
        )
        bundle.write_json(folder, bundle.CONFIG, config.model_dump(mode="json"))
        bundle.write_json(folder, bundle.LABELS, info.classes)
        earlier: list[dict[str, Any]] = []
        if trained.locked is not None:
            earlier = earlier_scorings(trials[0], runs)
            metrics["test"] = _score(trials, np.mean(locked, axis=0), trained.locked.track_label, created)
        bundle.write_json(folder, bundle.METRICS, metrics)
        card = ensemble_card(trials, metrics, n_trained=trained.n_tracks, earlier_scorings=earlier)
        (folder / bundle.CARD).write_text(card, encoding="utf-8")
        side = "test" if "test" in metrics else "validation"
        marked = ", SYNTHETIC data" if info.cache.synthetic else ""
        title = f"ensemble of {len(trials)}, {side}{marked}: {metrics[side]['n']} tracks"
        confusion_picture(folder / bundle.PICTURE, metrics[side]["confusion"], info.classes, title)
    return metrics


def _score(
    trials: Sequence[Trial], probabilities: np.ndarray, truth: np.ndarray, when: str
) -> dict[str, Any]:
    """Score the locked test by the vote, and record that it was."""
    info = trials[0].info
    result = judge(probabilities, truth, info.classes)
    kept = {key: result[key] for key in ("accuracy", "low", "high", "n", "macro_f1")}
    members = "+".join(f"{trial.info.name}:{trial.trial_id}" for trial in trials)
    trials[0].run.add_test_score(
        {"run": members, "trial_id": "ensemble", "when": when, **kept}
        | {"split_fingerprint": info.split_fingerprint}
    )
    return result


def _validation(trials: Sequence[Trial]) -> dict[str, Any]:
    """Numbers of the vote on the validated tracks: the mean of the members' out-of-fold probabilities."""
    first, *others = (Judgement.of(trial) for trial in trials)
    shares = [first.probabilities]
    for other in others:
        row = {track: number for number, track in enumerate(other.track_id)}
        shares.append(other.probabilities[[row[track] for track in first.track_id]])
    return judge(np.mean(shares, axis=0), first.truth, trials[0].info.classes)
