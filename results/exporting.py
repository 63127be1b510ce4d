"""From a trial to an export: train once more, score the locked test once, write the files."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import spaces
from data.columns import FEATURES
from data.errors import ExportError
from data.parameters import Parameters
from results import bundle
from results.card import model_card
from results.classifier import Classifier
from results.formats import check_available, write_formats
from results.judgement import Judgement
from results.picture import confusion_picture
from results.refit import Refit, refit
from results.scoring import judge
from results.trials import Trial
from spaces.training.run_folder import RunFolder
from spaces.training.votes import vote

_CHECKED = 64
"""Rows on which further formats are compared with Keras."""


def export_trial(
    trial: Trial, out: str | Path, *, runs: str, cache: str | None = None, formats: Sequence[str] = ()
) -> dict[str, Any]:
    """Export a trial.

    Parameters
    ----------
    trial : Trial
        What to export.
    out : str or Path
        The folder to make; it appears whole, at the end.
    runs : str
        Folder of the runs, in which earlier scorings of the same locked test are looked up.
    cache : str, optional
        Where the run's cache lies, if not where ``run.json`` says.
    formats : sequence of str
        Further formats; see `results.formats`.

    Returns
    -------
    dict
        The metrics, as in ``metrics.json``.

    Raises
    ------
    ExportError
        If the folder is there already, or cannot be written.
    CacheError
        If the run's cache is not there or holds other data.
    """
    with new_folder(out) as building:
        check_available(formats)
        validation = Judgement.of(trial).numbers
        return _write(trial, refit(trial, cache=cache), validation, building, runs, formats)


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """Make a folder that appears whole, when the block ends well, or not at all.

    Raises
    ------
    ExportError
        If it is there already, or cannot be written.
    """
    target = Path(out).expanduser().absolute()
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise ExportError(f"--out {out}: is there already; name a new folder, or delete this one first")
    building = target.parent / f".tmp-{uuid.uuid4().hex}-{target.name}"
    try:
        building.mkdir(parents=True)
        yield building
        if target.is_dir():
            target.rmdir()
        building.rename(target)
    except OSError as error:
        raise ExportError(f"--out {out}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_model(trial: Trial, trained: Refit, folder: Path, formats: Sequence[str]) -> bundle.BundleConfig:
    """Write the files from which a model is loaded: network, configuration, preprocessing, labels.

    Raises
    ------
    ExportError
        If a further format cannot be written, or answers differently.
    """
    info = trial.info
    config = bundle.BundleConfig(
        family=info.family,
        run=info.name,
        trial_id=trial.trial_id,
        config=trial.config,
        epochs=trial.best_epoch,
        seed=info.seed,
        synthetic=info.cache.synthetic,
        cache_fingerprint=info.cache.fingerprint,
        split_fingerprint=info.split_fingerprint,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=info.versions,
    )
    reads = spaces.get(info.family).reads
    preprocess = bundle.Preprocess(
        reads=reads,
        parameters=Parameters.model_validate(info.cache.parameters),
        columns=list(FEATURES) if reads == "features" else [],
        preparation=trained.fitted.preparation,
    )
    trained.fitted.model.save(folder / bundle.MODEL)
    bundle.write_json(folder, bundle.CONFIG, config.model_dump(mode="json"))
    bundle.write_json(folder, bundle.PREPROCESS, preprocess.model_dump(mode="json"))
    bundle.write_json(folder, bundle.LABELS, info.classes)
    if formats:
        rows = trained.trained.X[np.arange(min(_CHECKED, len(trained.trained.X)))]
        inputs = spaces.get(info.family).prepare(rows, trained.fitted.preparation)
        write_formats(trained.fitted.model, folder, formats, inputs)
    return config


def _write(
    trial: Trial,
    trained: Refit,
    validation: dict[str, Any],
    folder: Path,
    runs: str,
    formats: Sequence[str],
) -> dict[str, Any]:
    """Write all files of the export; return its metrics."""
    info = trial.info
    config = write_model(trial, trained, folder, formats)
    metrics = {"validation": validation}
    earlier: list[dict[str, Any]] = []
    if trained.locked is not None:
        earlier = earlier_scorings(trial, runs)
        metrics["test"] = _score_locked(trial, trained, folder, config.created)
    bundle.write_json(folder, bundle.METRICS, metrics)
    card = model_card(trial, config, metrics, n_trained=trained.n_tracks, earlier_scorings=earlier)
    (folder / bundle.CARD).write_text(card, encoding="utf-8")
    shown = "test" if "test" in metrics else "validation"
    marked = ", SYNTHETIC data" if info.cache.synthetic else ""
    title = f"{info.family}, {shown}{marked}: {metrics[shown]['n']} tracks"
    confusion_picture(folder / bundle.PICTURE, metrics[shown]["confusion"], info.classes, title)
    return metrics


def _score_locked(trial: Trial, trained: Refit, folder: Path, when: str) -> dict[str, Any]:
    """Score the locked test through the exported files, and record that it was."""
    task = trained.locked
    if task is None:
        raise ValueError("the run locked no tracks away")
    rows = Classifier.load(folder).judge_rows(task.X)
    result = judge(vote(rows, task.track, len(task.track_id)), task.track_label, trial.info.classes)
    kept = {key: result[key] for key in ("accuracy", "low", "high", "n", "macro_f1")}
    # Recorded at once: whatever fails from here on, these tracks have been looked at.
    trial.run.add_test_score(
        {"run": trial.info.name, "trial_id": trial.trial_id, "when": when, **kept}
        | {"split_fingerprint": trial.info.split_fingerprint}
    )
    return result


def earlier_scorings(trial: Trial, runs: str) -> list[dict[str, Any]]:
    """Find scorings of the same locked tracks by any run in the folder, oldest first.

    Runs of other folds may have locked the same tracks, which the seed and the share decide alone.
    """
    data, locked = trial.info.cache.fingerprint, _locked_tracks(trial.run)
    found = []
    for run in RunFolder.all(runs):
        scorings = run.test_scores()
        if scorings and run.info().cache.fingerprint == data and locked & _locked_tracks(run):
            found += scorings
    return sorted(found, key=lambda one: str(one["when"]))


def _locked_tracks(run: RunFolder) -> set[str]:
    split = run.split()
    return set(split.track_id[split.test].tolist())
