"""From a trial to an export: train once more, score the locked test once, write the files."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

import spaces
from data.analysis.embeddings import ENCODERS
from data.analysis.encoders.catalogue import copy_encoder
from data.analysis.feature_names import FEATURES
from data.analysis.kinds import EMBEDDING_PREFIX, FEATURE_KIND, kinds_in
from data.analysis.parameters import Parameters
from data.dataset.calibration import Calibration, apply_temperature
from data.dataset.metrics import judge
from data.dataset.task import Task
from data.dataset.track_scores import vote
from data.errors import ExportError, HarnessError, RunError
from data.io.s3_errors import bucket_failure
from results.evaluation.correction import ChoiceCorrection, correct_run
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.predictions import OutOfFoldPredictions
from results.evaluation.trials import Trial
from results.exporting.calibration_report import (
    CALIBRATION,
    RELIABILITY,
    fitted_calibration,
    reliability_picture,
)
from results.exporting.confusion_plot import confusion_picture
from results.exporting.encoder_chain import FOLDER as CHAIN
from results.exporting.encoder_chain import build_chain, chain_formats, has_chain, noise_patches
from results.exporting.formats import check_available, write_formats
from results.exporting.model_card import model_card
from results.exporting.refit import Refit, refit
from results.model import files as bundle
from results.model.classifier import Classifier
from search.storage.provenance import library_versions
from search.storage.run_folder import RunFolder, RunInfo

_CHECKED = 64
"""Rows on which further formats are compared with Keras."""


def export_trial(
    trial: Trial,
    out: str | Path,
    *,
    runs: str,
    among: int | None = None,
    cache: str | None = None,
    formats: Sequence[str] = (),
    correction: ChoiceCorrection | None = None,
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
    among : int, optional
        Scored trials among which this one was chosen; by default those of its run if it is the best of them,
        else 1: its score did not choose it.
    cache : str, optional
        Where the run's cache lies, if not where ``run.json`` says.
    formats : sequence of str
        Further formats; see `results.exporting.formats`.
    correction : ChoiceCorrection, optional
        The trial's score corrected for choosing it; by default among the trials of its run.

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
    RunError
        If the scoring of the locked test cannot be recorded in the run.
    """
    info = trial.info
    if among is None:
        among = trial.best_of
    with new_folder(out) as folder:
        check_available(formats)
        judgement = OutOfFoldPredictions.of(trial)
        metrics = {"validation": judgement.numbers}
        calibration = fitted_calibration(judgement.probabilities, judgement.truth, judgement.groups)
        if correction is None and trial.best_of > 1:
            correction = correct_run(trial)
        trained = refit(trial, cache=cache)
        with writing(out):
            config = write_model(trial, trained, folder, formats, calibration)
        earlier: list[dict[str, Any]] = []
        if trained.locked is not None:
            # Not before the training: another export may have scored meanwhile.
            earlier = earlier_scorings(trial, runs)
            metrics["test"] = _score_locked(trial, trained.locked, folder, config.created)
        card = model_card(
            trial,
            config,
            metrics,
            n_trained=trained.n_tracks,
            among=among,
            earlier_scorings=earlier,
            calibration=calibration,
            correction=correction,
        )
        with writing(out):
            write_account(folder, metrics, card, info, info.family, calibration)
    return metrics


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """Make a folder that appears whole, when the block ends well, or not at all.

    Raises
    ------
    ExportError
        If it is there already, or cannot be written.
    """
    target = Path(out).expanduser().absolute()
    building = target.parent / f".tmp-{uuid.uuid4().hex}-{target.name}"
    try:
        with writing(out):
            if target.is_file() or (target.is_dir() and any(target.iterdir())):
                raise ExportError(
                    f"--out {out}: is there already; name a new folder, or delete this one first"
                )
            if target.is_dir():
                # Now, and not after the training: some folders cannot be replaced, such as a mounted one.
                target.rmdir()
            building.mkdir(parents=True)
        yield building
        with writing(out):
            building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def writing(out: str | Path) -> Iterator[None]:
    """Blame ``--out`` for what the system refuses inside, where nothing but that folder is written.

    Raises
    ------
    ExportError
        In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise ExportError(f"--out {out}: cannot be written ({error})") from error


def write_model(
    trial: Trial,
    trained: Refit,
    folder: Path,
    formats: Sequence[str],
    calibration: Calibration | None = None,
) -> bundle.BundleConfig:
    """Write the files from which a model is loaded: network, configuration, preprocessing, labels.

    The temperature of the calibration is part of the configuration; without one the model's probabilities
    stay as they are, as those of an ensemble's members do.

    Raises
    ------
    ExportError
        If a further format cannot be written, or answers differently.
    """
    info = trial.info
    config = bundle.BundleConfig(
        family=info.family,
        run=trial.run.name,
        trial_id=trial.trial_id,
        config=trial.config,
        epochs=trial.best_epoch,
        seed=info.seed,
        synthetic=info.cache.synthetic,
        cache_fingerprint=info.cache.data,
        split_fingerprint=info.split_fingerprint,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        temperature=1.0 if calibration is None else calibration.temperature,
    )
    parameters = Parameters.model_validate(info.cache.parameters)
    kinds = kinds_in(trained.kind)
    encoders = {f"{EMBEDDING_PREFIX}{name}": name for name in parameters.embeddings}
    for kind, name in encoders.items():
        if kind in kinds:
            copy_encoder(trained.encoders / name, folder / ENCODERS / name)
    preprocess = bundle.Preprocess(
        reads=trained.kind,
        parameters=parameters.without(encoders.keys() - set(kinds)),
        columns=list(FEATURES) if FEATURE_KIND in kinds else [],
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
        _write_chain(trained, preprocess, folder, formats)
    return config


def _write_chain(trained: Refit, preprocess: bundle.Preprocess, folder: Path, formats: Sequence[str]) -> None:
    """Write encoder and head as one network too, where the model reads one encoder that allows it."""
    wanted = chain_formats(formats)
    name, embedding = next(iter(preprocess.parameters.embeddings.items()), ("", None))
    scaler = trained.fitted.preparation.get("scaler", [])
    if not wanted or embedding is None or preprocess.reads != f"{EMBEDDING_PREFIX}{name}":
        return
    if has_chain(embedding, scaler):
        chain = build_chain(trained.fitted.model, embedding, scaler, folder / ENCODERS / name)
        (folder / CHAIN).mkdir()
        write_formats(chain, folder / CHAIN, wanted, noise_patches())


def write_account(
    folder: Path,
    metrics: dict[str, Any],
    card: str,
    info: RunInfo,
    model: str,
    calibration: Calibration | None = None,
) -> None:
    """Write how good an export is: metrics, model card, pictures of confusions and reliability.

    Parameters
    ----------
    folder : Path
        The export.
    metrics : dict
        ``validation``, and ``test`` where tracks were locked away; see `data.dataset.metrics.judge`.
    card : str
        The model card.
    info : RunInfo
        Record of the run.
    model : str
        What the title of the picture calls the model.
    calibration : Calibration, optional
        Of the validated tracks; None where no temperature could be fitted.
    """
    bundle.write_json(folder, bundle.METRICS, metrics)
    (folder / bundle.CARD).write_text(card, encoding="utf-8")
    shown = "test" if "test" in metrics else "validation"
    marked = ", SYNTHETIC data" if info.cache.synthetic else ""
    title = f"{model}, {shown}{marked}: {metrics[shown]['n']} tracks"
    confusion_picture(folder / bundle.PICTURE, metrics[shown]["confusion"], info.classes, title)
    if calibration is not None:
        bundle.write_json(folder, CALIBRATION, calibration.record())
        n = metrics["validation"]["n"]
        reliability_picture(folder / RELIABILITY, calibration, f"{model}, validation{marked}: {n} tracks")


def _score_locked(trial: Trial, locked: Task, folder: Path, when: str) -> dict[str, Any]:
    """Score the locked test through the exported files, and record that it was."""
    classifier = Classifier.load(folder)
    rows = classifier.judge_rows(locked.X)
    probabilities = vote(rows, locked.track, len(locked.track_id))
    if classifier.config.temperature != 1:
        probabilities = apply_temperature(probabilities, classifier.config.temperature)
    groups = track_groups(locked.track_id.tolist(), groups_by_track(trial.run))
    result = judge(probabilities, locked.track_label, trial.info.classes, groups)
    record_scoring(trial, result, run=trial.run.name, trial_id=trial.trial_id, when=when)
    return result


def record_scoring(trial: Trial, result: dict[str, Any], **named: str) -> None:
    """Record in a trial's run that its locked test was scored.

    At once: whatever fails from here on, these tracks have been looked at.

    Parameters
    ----------
    trial : Trial
        The trial.
    result : dict
        As `data.dataset.metrics.judge` gives it.
    **named : str
        ``run``, ``trial_id`` and ``when``.

    Raises
    ------
    RunError
        If the run's folder cannot be written.
    """
    kept = {key: result[key] for key in ("accuracy", "low", "high", "n", "macro_f1")}
    try:
        trial.run.add_test_score({**named, **kept, "split_fingerprint": trial.info.split_fingerprint})
    except OSError as error:
        raise bucket_failure(error) or RunError(
            f"{trial.run.folder.uri}/test_scores.json: cannot be written ({error.strerror or error}), but"
            " each scoring of the locked test has to be recorded; make it writable and export again"
        ) from error


def earlier_scorings(trial: Trial, runs: str) -> list[dict[str, Any]]:
    """Find scorings of the same locked tracks by any run in the folder, oldest first.

    Tracks are known by name: runs of other folds, or on a cache to which tensors or files were added, may
    have locked the same ones. What cannot be read of a run is told on standard error.
    """
    locked = _locked_tracks(trial.run)
    found = []
    for run in RunFolder.all(runs):
        try:
            scorings = run.test_scores()
            if scorings and locked & _locked_tracks(run):
                found += scorings
        except (HarnessError, OSError) as error:
            told = " ".join(str(error).split())
            click.echo(f"Not looked at for earlier scorings of the test: {told}", err=True)
    return sorted(found, key=lambda one: str(one["when"]))


def _locked_tracks(run: RunFolder) -> set[str]:
    split = run.split()
    return set(split.track_id[split.test].tolist())
