"""Export a trial: train it, evaluate it once on the held-out test set, write the files."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from data.analysis.embeddings import ENCODERS
from data.analysis.encoders.catalogue import copy_encoder
from data.analysis.feature_names import FEATURES
from data.analysis.kinds import EMBEDDING_PREFIX, FEATURE_KIND, kinds_in
from data.analysis.parameters import Parameters
from data.dataset.calibration import Calibration, apply_temperature
from data.dataset.metrics import judge
from data.dataset.task import Task
from data.dataset.track_scores import vote
from data.errors import ExportError
from data.io.stages import NO_STAGES, Stages
from results.evaluation.correction import ChoiceCorrection, correct_run
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.predictions import OutOfFoldPredictions
from results.evaluation.trials import Trial
from results.exporting.calibration_report import (
    CALIBRATION,
    RELIABILITY,
    fitted_calibration,
    plot_reliability,
)
from results.exporting.confusion_plot import plot_confusion
from results.exporting.formats import check_available
from results.exporting.model_card import model_card
from results.exporting.model_formats import write_model_formats
from results.exporting.refit import Refit, refit
from results.exporting.scoring_record import recorded_scoring
from results.model import files
from results.model.classifier import Classifier
from results.model.network import KERAS_FILE
from search.storage.provenance import library_versions
from search.storage.run_info import RunInfo

_CHECKED_ROWS = 64
"""Rows on which additional formats are compared with Keras."""


def export_trial(
    trial: Trial,
    out: str | Path,
    *,
    runs: str,
    among: int | None = None,
    cache: str | None = None,
    formats: Sequence[str] | None = (),
    correction: ChoiceCorrection | None = None,
    stages: Stages = NO_STAGES,
) -> dict[str, Any]:
    """Export a trial.

    Parameters
    ----------
    trial : Trial
        The trial to export.
    out : str or Path
        The folder to create; it appears at the end, when it is complete.
    runs : str
        Folder of the runs, which is searched for earlier evaluations on the same test set.
    among : int, optional
        Number of scored trials from which this one was selected; by default those of its run if it is the
        best of them, else 1.
    cache : str, optional
        Location of the run's cache; by default that of ``run.json``.
    formats : sequence of str or None
        Additional formats; see `results.exporting.formats`. None for the default: the ONNX form, if its
        libraries are installed and the network has one.
    correction : ChoiceCorrection, optional
        The trial's score corrected for its selection; by default from the trials of its run.
    stages : Stages
        Shows what is being done; by default, nothing is shown.

    Returns
    -------
    dict
        The metrics, as in ``metrics.json``.

    Raises
    ------
    ExportError
        If the folder exists or cannot be written.
    CacheError
        If the run's cache does not exist or holds other data.
    RunError
        If the evaluation on the test set cannot be recorded in the run.
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
        trained = refit(trial, cache=cache, stages=stages)
        stages("Writing the model")
        with writing(out):
            config = write_model(trial, trained, folder, formats, calibration)
        earlier: list[dict[str, Any]] = []
        if trained.locked is not None:
            stages("Evaluating it on the test set")
            with recorded_scoring(
                trial, runs, run=trial.run.name, trial_id=trial.trial_id, name=trial.name, when=config.created
            ) as scoring:
                scoring.finish(_score_locked(trial, trained.locked, folder))
            metrics["test"], earlier = scoring.result, scoring.earlier
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
            write_evaluation(folder, metrics, card, info, info.family, calibration)
    return metrics


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """Create a folder that appears when the block succeeds, or not at all.

    Raises
    ------
    ExportError
        If it exists or cannot be written.
    """
    target = Path(out).expanduser().absolute()
    building = target.parent / f".tmp-{uuid.uuid4().hex}-{target.name}"
    try:
        with writing(out):
            if target.is_file() or (target.is_dir() and any(target.iterdir())):
                raise ExportError(f"--out {out}: already exists; name a new folder, or delete this one")
            if target.is_dir():
                # Fails before the training for folders that cannot be replaced, such as mount points.
                target.rmdir()
            building.mkdir(parents=True)
        yield building
        with writing(out):
            building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def writing(out: str | Path) -> Iterator[None]:
    """Turn an OSError of a block that only writes the export into an error about ``--out``.

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
    formats: Sequence[str] | None,
    calibration: Calibration | None = None,
) -> files.BundleConfig:
    """Write the files that loading needs: network, configuration, preprocessing, labels.

    The temperature of the calibration is part of the configuration. Without a calibration, as for the members
    of an ensemble, the probabilities stay unchanged.

    Raises
    ------
    ExportError
        If an additional format that was asked for cannot be written, or its outputs differ.
    """
    info = trial.info
    config = files.BundleConfig(
        family=info.family,
        run=trial.run.name,
        trial_id=trial.trial_id,
        config=trial.config,
        epochs=trial.best_epoch,
        averaged_epochs=trial.score_epochs,
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
    preprocess = files.Preprocess(
        reads=trained.kind,
        parameters=parameters.without(encoders.keys() - set(kinds)),
        columns=list(FEATURES) if FEATURE_KIND in kinds else [],
        preparation=trained.fitted.preparation,
    )
    trained.fitted.model.save(folder / KERAS_FILE)
    files.write_json(folder, files.CONFIG, config.model_dump(mode="json"))
    files.write_json(folder, files.PREPROCESS, preprocess.model_dump(mode="json"))
    files.write_json(folder, files.LABELS, info.classes)
    if formats is None or formats:
        write_model_formats(
            trained.fitted.model,
            folder,
            trained.trained.X[np.arange(min(_CHECKED_ROWS, len(trained.trained.X)))],
            formats=formats,
            config=config,
            preprocess=preprocess,
            labels=info.classes,
        )
    return config


def write_evaluation(
    folder: Path,
    metrics: dict[str, Any],
    card: str,
    info: RunInfo,
    model: str,
    calibration: Calibration | None = None,
) -> None:
    """Write metrics, model card, and the plots of confusions and reliability.

    Parameters
    ----------
    folder : Path
        Folder of the export.
    metrics : dict
        ``validation``, and ``test`` if the run has a held-out test set; see `data.dataset.metrics.judge`.
    card : str
        The model card.
    info : RunInfo
        The record of the run.
    model : str
        Name of the model in the titles of the plots.
    calibration : Calibration, optional
        Calibration on the validated tracks; None if no temperature could be fitted.
    """
    files.write_json(folder, files.METRICS, metrics)
    (folder / files.CARD).write_text(card, encoding="utf-8")
    side = "test" if "test" in metrics else "validation"
    suffix = ", SYNTHETIC data" if info.cache.synthetic else ""
    title = f"{model}, {side}{suffix}: {metrics[side]['n']} tracks"
    plot_confusion(folder / files.CONFUSION_PLOT, metrics[side]["confusion"], info.classes, title)
    if calibration is not None:
        files.write_json(folder, CALIBRATION, calibration.record())
        n = metrics["validation"]["n"]
        plot_reliability(folder / RELIABILITY, calibration, f"{model}, validation{suffix}: {n} tracks")


def _score_locked(trial: Trial, locked: Task, folder: Path) -> dict[str, Any]:
    """Evaluate the exported files on the held-out test set."""
    classifier = Classifier.load(folder)
    rows = classifier.predict_rows(locked.X)
    probabilities = vote(rows, locked.track, len(locked.track_id))
    if classifier.config.temperature != 1:
        probabilities = apply_temperature(probabilities, classifier.config.temperature)
    groups = track_groups(locked.track_id.tolist(), groups_by_track(trial.run))
    return judge(probabilities, locked.track_label, trial.info.classes, groups)
