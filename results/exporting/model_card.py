"""The model card of an export: its origin, accuracy, limits and use, from ``templates/model_card.md``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from data.analysis.embeddings import ENCODERS
from data.dataset.calibration import Calibration
from results.evaluation.correction import ChoiceCorrection
from results.evaluation.descriptions import reads_images, source, split
from results.evaluation.groups import INDEPENDENT
from results.evaluation.trials import Trial
from results.exporting.calibration_report import RELIABILITY
from results.model.files import CONFUSION_PLOT, BundleConfig

_GTZAN = frozenset(
    ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
)
_MANY_TRACKS = 200
"""Number of tracks from which the intervals are narrow enough to need no remark."""


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
    settings = trial.info.settings
    return render_card(
        "model_card.md",
        [trial],
        metrics,
        n_trained=n_trained,
        among=among,
        earlier=earlier_scorings,
        calibration=calibration,
        correction=correction,
        trial=trial,
        encoders=_encoders(trial),
        options={name: settings[name] for name in ("searcher", "scheduler") if name in settings},
        configuration=json.dumps(config.config, indent=2, sort_keys=True),
    )


def render_card(template: str, trials: Sequence[Trial], metrics: dict[str, Any], **content: Any) -> str:
    """Render a card with the content that all cards share.

    Parameters
    ----------
    template : str
        Name of the template.
    trials : sequence of Trial
        The exported trials; data and split are the same for all.
    metrics : dict
        See `model_card`.
    **content
        What the template shows beside this: at least ``n_trained``, ``among``, ``earlier``, ``calibration``
        and ``correction``.

    Returns
    -------
    str
        Markdown.
    """
    environment = Environment(  # noqa: S701 - Markdown, not HTML
        loader=PackageLoader("results", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters["percent"] = lambda fraction: f"{100 * fraction:.1f}"
    environment.globals |= {"confusion_plot": CONFUSION_PLOT, "reliability_plot": RELIABILITY}
    info = trials[0].info
    fewest_tracks = min(scores["n"] for scores in metrics.values())
    text = environment.get_template(template).render(
        info=info,
        metrics=metrics,
        source=source(info),
        split=split(info),
        independent=INDEPENDENT,
        input_name="spectrogram images" if reads_images(info) else "audio",
        from_images=reads_images(info),
        file="spectrogram.png" if reads_images(info) else "song.mp3",
        is_gtzan=set(info.classes) == _GTZAN and not info.cache.synthetic,
        fewest_tracks=fewest_tracks if fewest_tracks < _MANY_TRACKS else None,
        warm_starts=[_warm_start(trial) for trial in trials if _test_tracks_seen(trial)],
        **content,
    )
    return text.rstrip("\n") + "\n"


def _encoders(trial: Trial) -> list[dict[str, Any]]:
    """List the pretrained encoders that the model reads."""
    input_names = str(trial.config.get("inputs", "")).split("+")
    embeddings = trial.info.cache.parameters.get("embeddings", {})
    return [
        {
            "folder": f"{ENCODERS}/{name}",
            "name": embedding["encoder"],
            "sample_rate": embedding["sample_rate"],
            "sha256": embedding["sha256"],
        }
        for name, embedding in embeddings.items()
        if name in input_names
    ]


def _test_tracks_seen(trial: Trial) -> int:
    """Count the test tracks that were used by the run that warm-started the trial's run."""
    return int((trial.info.warm_start or {}).get("test_tracks_seen", 0))


def _warm_start(trial: Trial) -> dict[str, Any]:
    earlier = (trial.info.warm_start or {})["run"]
    return {"tracks": _test_tracks_seen(trial), "source": earlier, "run": trial.run.name}
