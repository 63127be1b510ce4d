"""The model card of an export: what it is, how good it is, and what it must not be trusted with."""

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
from results.model.files import PICTURE, BundleConfig

_GTZAN = frozenset(
    ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
)

SYNTHETIC = (
    "> **Trained on SYNTHETIC music.** Every number here was measured on synthesised tracks and says"
    " nothing about real recordings."
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
        The trial that is exported.
    config : BundleConfig
        How it was trained.
    metrics : dict
        ``validation``, and ``test`` where tracks were locked away; see `data.dataset.metrics.judge`.
    n_trained : int
        Tracks that the exported network was trained on.
    among : int
        Scored trials, of all runs that were looked at, among which this one was chosen.
    earlier_scorings : list of dict
        Earlier scorings of the same locked test, as in ``test_scores.json``.
    calibration : Calibration, optional
        Of the validated tracks; None where no temperature could be fitted.
    correction : ChoiceCorrection, optional
        The validation accuracy corrected for choosing the trial.

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
        f"# {info.family}: music genres from {takes(trial)}\n\n"
        f"A classifier of {len(info.classes)} genres: {', '.join(info.classes)}. It is trial"
        f" `{trial.trial_id}`{' (the BASELINE)' if trial.baseline else ''} of run `{trial.run.name}`."
    )
    return f"{text}\n\n{SYNTHETIC}" if info.cache.synthetic else text


def encoder_sections(trial: Trial) -> list[str]:
    """Write which pretrained encoders the model uses, and under which licence; nothing for other families."""
    used = str(trial.config.get("inputs", "")).split("+")
    embeddings = trial.info.cache.parameters.get("embeddings", {})
    lines = [
        f"- `{ENCODERS}/{name}`: {embedding['encoder']}, {embedding['sample_rate']} Hz,"
        f" SHA-256 of the weights `{embedding['sha256'][:16]}`."
        for name, embedding in embeddings.items()
        if name in used
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
                "The weights are their authors', not this project's. Their licence, where it was beside them,"
                " is in the same folder: keep it with the model, and check what it allows before you publish"
                " or sell the model.",
            ]
        )
    ]


def takes(trial: Trial) -> str:
    """Name what a model of the trial is given."""
    return "pictures of spectrograms" if reads_images(trial.info) else "audio"


def numbers_section(
    trials: Sequence[Trial],
    metrics: dict[str, Any],
    among: int,
    earlier: list[dict[str, Any]],
    correction: ChoiceCorrection | None = None,
) -> str:
    """Write the numbers, among how many trials the choice was made, and how often the test was looked at."""
    info = trials[0].info
    marked = " on synthetic data" if info.cache.synthetic else ""
    lines = [f"## Numbers{marked}", "", "| | accuracy | 95 % interval | tracks | macro F1 |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for name, one in metrics.items():
        lines.append(
            f"| {name} | {100 * one['accuracy']:.1f} % | {100 * one['low']:.1f} to {100 * one['high']:.1f} %"
            f" | {one['n']} | {one['macro_f1']:.3f} |"
        )
    lines += [
        "",
        "Accuracy is by track: the segments of a track vote with their mean probability. Intervals are"
        " Wilson's, on the effective number of tracks. The validation accuracy belongs to the networks of the"
        " search, before the final training, at the epoch at which it was highest.",
    ]
    n_groups = metrics["validation"].get("n_groups")
    lines[-1] += (
        " " + INDEPENDENT if n_groups is None else f" The validated tracks come in {n_groups} groups."
    )
    if among > 1:
        lines[-1] += f" {among} trials were compared by it, so it is optimistic for the chosen one."
    if correction is not None:
        lines[-1] += f" {correction.sentence()}"
    if "test" in metrics:
        lines += [
            "",
            "The test tracks were locked away from the whole search and scored by these very files.",
        ]
        lines += [_warm_note(trial) for trial in trials if _test_tracks_seen(trial)]
        lines += ["", _scoring_note(earlier)]
    else:
        lines += ["", "No tracks were locked away, so there is no other figure than that of the validation."]
    lines += ["", f"![confusion matrix]({PICTURE})"]
    lines += ["", "| genre | precision | recall | tracks |", "| --- | ---: | ---: | ---: |"]
    judged = metrics["test" if "test" in metrics else "validation"]
    for genre, one in judged["genres"].items():
        lines.append(f"| {genre} | {one['precision']:.2f} | {one['recall']:.2f} | {one['n']} |")
    return "\n".join(lines)


def _test_tracks_seen(trial: Trial) -> int:
    return int((trial.info.warm_start or {}).get("test_tracks_seen", 0))


def _warm_note(trial: Trial) -> str:
    earlier = (trial.info.warm_start or {})["run"]
    return (
        f"**But run `{trial.run.name}` began with the best of run `{earlier}`, which had searched on"
        f" {_test_tracks_seen(trial)} of them**: the test figure is too high."
    )


def _scoring_note(earlier: list[dict[str, Any]]) -> str:
    if not earlier:
        return "This was the first scoring of these test tracks that the folder of the runs tells of."
    before = "; ".join(
        f"{one['when']}: {one['run']}:{one['trial_id']}, {100 * one['accuracy']:.1f} %" for one in earlier
    )
    return (
        f"**These test tracks had been scored {len(earlier)} time{'s' if len(earlier) > 1 else ''} before**"
        f" ({before}). Who chooses between exports by these figures makes them too high."
    )


def data_section(trial: Trial, n_trained: int) -> str:
    """Write what was learned from, and how it was split."""
    info = trial.info
    return (
        "## Data and split\n\n"
        f"Data: {source(info)}; fingerprint"
        f" `{info.cache.data[:16]}`. Split: {split(info)}, seed {info.seed}; {info.n_validated} tracks"
        f" validated, {info.n_test} locked away for the test. Segments of a track, duplicates and named"
        " groups stay on one side. The exported network was trained on all"
        f" {n_trained} tracks of training and validation."
    )


def _search(trial: Trial, config: BundleConfig) -> str:
    info = trial.info
    options = {key: info.settings[key] for key in ("searcher", "scheduler") if key in info.settings}
    told = "".join(f" {key} {value};" for key, value in options.items())
    stopped = " It was stopped before its last epoch." if trial.status == "PRUNED" else ""
    return (
        "## Search\n\n"
        f"Up to {info.trials} trials of at most {info.max_epochs} epochs;{told} seed {info.seed}. Validation"
        f" chose epoch {trial.best_epoch}, for which the exported network was trained as well.{stopped}\n\n"
        f"```json\n{json.dumps(config.config, indent=2, sort_keys=True)}\n```"
    )


def limits_section(trial: Trial, metrics: dict[str, Any]) -> str:
    """Write what the model must not be trusted with."""
    info = trial.info
    if reads_images(info):
        given, judged = "is shown, photographs included", "pictures"
        other = "scales, colours and axes"
    else:
        given, judged = "hears, speech and silence included", "recordings"
        other = "eras, countries and recording qualities"
    limits = [
        f"It answers with one of {len(info.classes)} genres whatever it {given}.",
        f"It has judged {judged} like those it was trained on; other {other} may be judged much worse.",
        "Its probabilities are for recordings like those that it was validated on, and for its genres only.",
    ]
    n = min(one["n"] for one in metrics.values())
    if n < 200:
        limits.append(f"Few tracks stand behind its numbers ({n} at the least): read the intervals.")
    if set(info.classes) == _GTZAN and not info.cache.synthetic:
        limits.append(
            "The genres are those of GTZAN, which holds repeated recordings, several tracks of one artist,"
            " mislabelled and distorted tracks (Sturm, 2013): where its faults cross a split, the figures are"
            " too high, and no figure near 100 % is honest."
        )
    if info.cache.source == "features-csv":
        limits.append(
            "It was trained on features computed elsewhere; this program takes them from audio to within"
            " small differences."
        )
    return "## Known limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def usage_section(trial: Trial) -> str:
    """Write how the export is used."""
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
        f"Or: `python -m results.predict this/folder {file}`. Loading unpickles nothing and runs no code of"
        " the files."
    )
