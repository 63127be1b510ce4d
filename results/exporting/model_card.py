"""The model card of an export: its origin, accuracy, limits and use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from data.analysis.embeddings import ENCODERS
from data.dataset.calibration import Calibration
from results.evaluation.correction import ChoiceCorrection
from results.evaluation.descriptions import reads_images, source, split
from results.evaluation.groups import INDEPENDENT
from results.evaluation.trials import Trial
from results.exporting.calibration_report import calibration_section
from results.model.files import CONFUSION_PLOT, BundleConfig

_GTZAN = frozenset(
    ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
)

SYNTHETIC = (
    "> **Trained on SYNTHETIC music.** All numbers were measured on synthetic tracks and say nothing"
    " about real recordings."
)


def model_card(
    trial: Trial,
    config: BundleConfig,
    metrics: dict[str, Any],
    *,
    n_trained: int,
    among: int,
    earlier_scorings: list[dict[str, Any]],
    calibration: Calibration | None = None,
    correction: ChoiceCorrection | None = None,
) -> str:
    """Write the model card.

    Parameters
    ----------
    trial : Trial
        The exported trial.
    config : BundleConfig
        The configuration of the export.
    metrics : dict
        ``validation``, and ``test`` if the run has a held-out test set; see `data.dataset.metrics.judge`.
    n_trained : int
        Number of tracks that the exported network was trained on.
    among : int
        Number of scored trials, in all compared runs, from which this one was selected.
    earlier_scorings : list of dict
        Earlier evaluations on the same test set, as returned by
        `results.exporting.scoring_record.earlier_scorings`.
    calibration : Calibration, optional
        Calibration on the validated tracks; None if no temperature could be fitted.
    correction : ChoiceCorrection, optional
        The validation accuracy corrected for the selection of the trial.

    Returns
    -------
    str
        Markdown.
    """
    sections = [
        _head(trial),
        numbers_section([trial], metrics, among, earlier_scorings, correction),
        calibration_section(calibration),
        data_section(trial, n_trained),
        *encoder_sections(trial),
        _search(trial, config),
        limits_section(trial, metrics),
        usage_section(trial),
    ]
    return "\n\n".join(sections) + "\n"


def _head(trial: Trial) -> str:
    info = trial.info
    text = (
        f"# {info.family}: music genres from {input_name(trial)}\n\n"
        f"A classifier of {len(info.classes)} genres: {', '.join(info.classes)}. It is trial"
        f" `{trial.name}`{' (the BASELINE)' if trial.baseline else ''}."
    )
    return f"{text}\n\n{SYNTHETIC}" if info.cache.synthetic else text


def encoder_sections(trial: Trial) -> list[str]:
    """Write the section about pretrained encoders and their licence; empty for models without encoders."""
    input_names = str(trial.config.get("inputs", "")).split("+")
    embeddings = trial.info.cache.parameters.get("embeddings", {})
    lines = [
        f"- `{ENCODERS}/{name}`: {embedding['encoder']}, {embedding['sample_rate']} Hz,"
        f" SHA-256 of the weights `{embedding['sha256'][:16]}`."
        for name, embedding in embeddings.items()
        if name in input_names
    ]
    if not lines:
        return []
    return [
        "\n".join(
            [
                "## Pretrained encoders",
                "",
                *lines,
                "",
                "The weights belong to their authors. Their licence, if it was stored with them, is in the"
                " same folder: keep it with the model, and check what it allows before you publish or sell"
                " the model.",
            ]
        )
    ]


def input_name(trial: Trial) -> str:
    """Name the kind of input of the model."""
    return "spectrogram images" if reads_images(trial.info) else "audio"


def numbers_section(
    trials: Sequence[Trial],
    metrics: dict[str, Any],
    among: int,
    earlier: list[dict[str, Any]],
    correction: ChoiceCorrection | None = None,
) -> str:
    """Write the section about accuracy, with the number of compared trials and of test evaluations."""
    info = trials[0].info
    suffix = " on synthetic data" if info.cache.synthetic else ""
    lines = [f"## Numbers{suffix}", "", "| | accuracy | 95 % interval | tracks | macro F1 |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for name, scores in metrics.items():
        lines.append(
            f"| {name} | {100 * scores['accuracy']:.1f} %"
            f" | {100 * scores['low']:.1f} to {100 * scores['high']:.1f} %"
            f" | {scores['n']} | {scores['macro_f1']:.3f} |"
        )
    lines += [
        "",
        "Accuracy is per track: the probabilities of a track's segments are averaged. Intervals are"
        " Wilson's, for the effective number of tracks. The validation accuracy is that of the search's"
        " networks, before the final training, at their best epoch.",
    ]
    n_groups = metrics["validation"].get("n_groups")
    lines[-1] += " " + INDEPENDENT if n_groups is None else f" The validated tracks form {n_groups} groups."
    if among > 1:
        lines[-1] += f" The validation accuracy selected this trial among {among}, so it is optimistic."
    if correction is not None:
        lines[-1] += f" {correction.sentence()}"
    if "test" in metrics:
        lines += [
            "",
            "The test tracks were held out from the search; the exported files were evaluated on them.",
        ]
        lines += [_warm_start_note(trial) for trial in trials if _test_tracks_seen(trial)]
        lines += ["", _scoring_note(earlier)]
    else:
        lines += ["", "No test tracks were held out, so only the validation accuracy is known."]
    lines += ["", f"![confusion matrix]({CONFUSION_PLOT})"]
    lines += ["", "| genre | precision | recall | tracks |", "| --- | ---: | ---: | ---: |"]
    side = metrics["test" if "test" in metrics else "validation"]
    for genre, scores in side["genres"].items():
        lines.append(f"| {genre} | {scores['precision']:.2f} | {scores['recall']:.2f} | {scores['n']} |")
    return "\n".join(lines)


def _test_tracks_seen(trial: Trial) -> int:
    """Count the test tracks that were used by the run that warm-started the trial's run."""
    return int((trial.info.warm_start or {}).get("test_tracks_seen", 0))


def _warm_start_note(trial: Trial) -> str:
    earlier = (trial.info.warm_start or {})["run"]
    return (
        f"**Warning: {_test_tracks_seen(trial)} test tracks were used by run `{earlier}`, which warm-started"
        f" run `{trial.run.name}`**: the test accuracy is too high."
    )


def _scoring_note(earlier: list[dict[str, Any]]) -> str:
    if not earlier:
        return "This was the first evaluation on these test tracks among the runs in this folder."
    evaluations = "; ".join(
        f"{score['when']}: {score.get('name') or score['run'] + ':' + score['trial_id']},"
        f" {'no result' if 'accuracy' not in score else format(100 * score['accuracy'], '.1f') + ' %'}"
        for score in earlier
    )
    return (
        f"**These test tracks had been used {len(earlier)} time{'s' if len(earlier) > 1 else ''} before**"
        f" ({evaluations}). Selecting an export by its test score makes that score optimistic."
    )


def data_section(trial: Trial, n_trained: int) -> str:
    """Write the section about the data and the split."""
    info = trial.info
    return (
        "## Data and split\n\n"
        f"Data: {source(info)}; fingerprint"
        f" `{info.cache.data[:16]}`. Split: {split(info)}, seed {info.seed}; {info.n_validated} tracks"
        f" validated, {info.n_test} held out for the test. Segments of a track, duplicates and groups"
        " are never split. The exported network was trained on all"
        f" {n_trained} tracks of training and validation."
    )


def _search(trial: Trial, config: BundleConfig) -> str:
    """Write the section about the search and the configuration."""
    info = trial.info
    options = {key: info.settings[key] for key in ("searcher", "scheduler") if key in info.settings}
    option_text = "".join(f" {key} {value};" for key, value in options.items())
    stopped = " The trial was stopped before its last epoch." if trial.status == "PRUNED" else ""
    return (
        "## Search\n\n"
        f"Up to {info.trials} trials of at most {info.max_epochs} epochs;{option_text} seed {info.seed}. The"
        f" best validation epoch was {trial.best_epoch}; the exported network was trained for as many"
        f" epochs.{stopped}\n\n"
        f"```json\n{json.dumps(config.config, indent=2, sort_keys=True)}\n```"
    )


def limits_section(trial: Trial, metrics: dict[str, Any]) -> str:
    """Write the section about the known limits."""
    info = trial.info
    if reads_images(info):
        any_input, inputs = "any image, even a photograph", "images"
        variations = "scales, colours and axes"
    else:
        any_input, inputs = "any audio, even speech or silence", "recordings"
        variations = "eras, countries and recording qualities"
    limits = [
        f"It assigns one of {len(info.classes)} genres to {any_input}.",
        f"It was validated on {inputs} like its training data; accuracy may be much lower for other"
        f" {variations}.",
        "Its probabilities hold only for {inputs} like those of the validation, and for its genres.",
    ]
    n = min(scores["n"] for scores in metrics.values())
    if n < 200:
        limits.append(f"Its numbers come from few tracks ({n} at least): consider the intervals.")
    if set(info.classes) == _GTZAN and not info.cache.synthetic:
        limits.append(
            "The genres are those of GTZAN, which contains repeated recordings, several tracks per artist,"
            " and mislabelled and distorted tracks (Sturm, 2013). Repetitions across a split make the numbers"
            " too high; a number near 100 % cannot be right."
        )
    if info.cache.source == "features-csv":
        limits.append(
            "It was trained on features from another program; this program computes them from audio with"
            " small differences."
        )
    return "## Known limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def usage_section(trial: Trial) -> str:
    """Write the section about the use of the export."""
    file = "spectrogram.png" if reads_images(trial.info) else "song.mp3"
    return (
        "## Use\n\n"
        "```python\n"
        "import results\n"
        'classifier = results.load("this/folder")\n'
        f'prediction = classifier.predict("{file}")\n'
        "print(prediction.genre)\n"
        "print(prediction.probabilities)\n"
        "```\n\n"
        f"Or: `python -m results.predict this/folder {file}`. Loading unpickles nothing and runs no code from"
        " the files."
    )
