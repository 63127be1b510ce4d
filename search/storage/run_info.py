"""The record of a run: the content of ``run.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from data.analysis.kinds import Kind, kinds_in
from data.cache.fingerprints import preparation_fingerprint, same_input
from data.dataset.class_weights import CLASS_WEIGHTS, ClassWeight
from data.dataset.scores import METRICS, Metric
from search.storage.rungs import LAST_SHARE, Rungs, RungUnit, rungs_of_format_1

if TYPE_CHECKING:
    from data.cache.cache import Cache

FORMAT = 3
"""Version of the layout.

In format 1, early stopping decided at epochs that were equal for all trials. Up to format 2, the score of a
trial was that of a single epoch.
"""

READABLE_FORMATS = (1, 2, FORMAT)


class CacheRef(BaseModel):
    """Reference to the data of a run.

    Attributes
    ----------
    uri : str
        Place of the cache.
    fingerprint : str
        Fingerprint of the whole cache when the search started; runs of version 0.1 have only this one.
    collection : str, optional
        Fingerprint of tracks, content, labels and groups.
    inputs : dict of str to str
        Fingerprint of each kind of input that the run reads, in the order of their columns.
    source, synthetic, parameters
        As in ``cache.json``.
    """

    model_config = ConfigDict(extra="forbid")

    uri: str
    fingerprint: str
    source: str
    synthetic: bool
    parameters: dict[str, Any]
    collection: str | None = None
    inputs: dict[str, str] = {}

    @classmethod
    def of(cls, cache: Cache, kind: Kind) -> CacheRef:
        """Create the reference to inputs of a kind in a cache."""
        common = cache.info.model_dump(include={"fingerprint", "source", "synthetic", "parameters"})
        return cls(
            uri=cache.folder.uri,
            collection=cache.collection,
            inputs={each: cache.input_fingerprint(each) for each in kinds_in(kind)},
            **common,
        )

    @property
    def data(self) -> str:
        """Fingerprint of the collection; for a run of version 0.1, that of its cache."""
        return self.collection or self.fingerprint

    def kind(self, reads: Kind) -> Kind:
        """Return the kind of input that the run reads, given the kind `reads` of its family."""
        return "+".join(self.inputs) or reads

    def same_collection(self, other: CacheRef) -> bool:
        """Return whether two runs have the same tracks, content, labels and groups; inputs may differ."""
        if self.collection is None:
            return self.fingerprint == other.fingerprint or (
                other.collection is not None and other.same_collection(self)
            )
        return other.data == self.collection or (
            other.collection is None
            and preparation_fingerprint(other.parameters, self.collection) == other.fingerprint
        )

    def is_in(self, cache: Cache, reads: Kind) -> bool:
        """Return whether a cache contains the collection and the inputs of the run.

        Parameters
        ----------
        cache : Cache
            The cache; other inputs may have been added since.
        reads : str
            Kind of input that the run's family reads.
        """
        if self.collection is not None:
            return cache.collection == self.collection and all(
                cache.input_fingerprint(kind) == recorded for kind, recorded in self.inputs.items()
            )
        if cache.info.fingerprint == self.fingerprint:
            return True
        same = preparation_fingerprint(self.parameters, cache.collection) == self.fingerprint
        return same and all(
            same_input(kind, self.parameters, cache.info.parameters) for kind in kinds_in(self.kind(reads))
        )


class RunInfo(BaseModel):
    """Content of ``run.json``.

    Attributes
    ----------
    format : int
        Version of the layout.
    name, family : str
        The run and its model family.
    status : str
        ``running``, ``finished``, or ``interrupted`` (which can be resumed).
    classes : list of str
        Genres, in the order of the network's outputs.
    n_validated, n_test : int
        Number of validated tracks, and of tracks in the locked test set.
    folds : int
        Number of folds; 1 for a hold-out.
    test_fraction : float or None
        Fraction of the tracks in the locked test set; None for the user's own partition.
    split_fingerprint : str
        Equal for two runs exactly if they assign each track to the same fold or test set.
    deal : str or None
        Fingerprint of the stored deal from which the split was taken: equal for a cross-validation and for
        the hold-out that is its fold 0. None for a given partition, and in older runs.
    missing_inputs : int
        Tracks of the split that the run could not use, because the cache lacks their input.
    seed : int
        Seed of split, sampler, initial weights, shuffling and augmentation.
    trials, max_epochs : int
        Maximum number of trials, and of epochs per trial.
    settings : dict
        All options of the search, which a resumed search uses.
    space : dict
        Distribution of each parameter as Optuna's JSON.
    narrowed : dict
        Changes to the family's space: ``fixed`` values and ``ranges``.
    weights : dict of str to str
        SHA-256 of the pretrained weights per network.
    baseline : dict
        The configuration of trial 0.
    versions : dict
        Versions of Python and of the libraries.
    git_revision : str or None
        Git revision of this program, if it runs from a checkout.
    command_line : list of str
        The command as typed.
    created, ended : str or None
        Times in ISO 8601, UTC.
    reason : str or None
        Why the search ended: ``all trials``, ``time budget``, ``target``, ``stagnation`` or ``interrupted``.
    seconds : float
        Duration of the search over all sessions.
    warm_start : dict or None
        ``run``, ``trials`` and ``configurations`` tried after the BASELINE; ``n_trials``: the number of
        trials from which they were chosen; ``test_tracks_seen``: the number of test tracks on which that run
        was searched.
    portfolio : list of dict
        Configurations tried after the BASELINE: the family's portfolio, then neighbours of its first.
    rungs : list of float
        Points at which the scheduler decides, in `rung_unit`.
    rung_unit : str
        ``share`` of each trial's own epochs; ``epochs`` in runs that were begun in format 1.
    rung_min_epochs : int
        Epochs that a trial trains at least before a decision.
    score_window : int
        Maximum number of epochs whose mean probabilities are scored (`data.dataset.score_window`); 1 in runs
        that were begun before format 3.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    name: str
    family: str
    status: Literal["running", "finished", "interrupted"]
    cache: CacheRef
    classes: list[str]
    n_validated: int
    n_test: int
    folds: int
    test_fraction: float | None
    split_fingerprint: str
    deal: str | None = None
    missing_inputs: int = 0
    seed: int
    trials: int
    max_epochs: int
    settings: dict[str, Any]
    space: dict[str, Any]
    baseline: dict[str, Any]
    versions: dict[str, str]
    git_revision: str | None
    command_line: list[str]
    created: str
    ended: str | None = None
    reason: str | None = None
    seconds: float = 0.0
    warm_start: dict[str, Any] | None = None
    portfolio: list[dict[str, Any]] = []
    rungs: list[float] = []
    rung_unit: RungUnit = "share"
    rung_min_epochs: int = 1
    score_window: int = 1
    narrowed: dict[str, Any] = {}
    weights: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, content: Any) -> Any:
        """Convert earlier formats; their runs keep the rules with which they were begun."""
        if not isinstance(content, dict) or content.get("format") not in (1, 2):
            return content
        if content["format"] == 2:
            return {**content, "format": FORMAT}
        settings, max_epochs = content.get("settings", {}), content.get("max_epochs", 1)
        grace_period = settings.get("grace_period")
        rungs = rungs_of_format_1(
            settings.get("scheduler", "asha"),
            max_epochs=max_epochs,
            grace_period=grace_period,
            reduction_factor=settings.get("reduction_factor", 3),
        )
        return {
            **content,
            "format": FORMAT,
            # The rungs below are used. The grace period, which is a share now, only describes the run, and
            # allows as many brackets as it has.
            "settings": {
                **settings,
                "grace_period": grace_period and min(grace_period / max_epochs, LAST_SHARE),
            },
            "rungs": list(rungs.values),
            "rung_unit": rungs.unit,
        }

    @property
    def stopping(self) -> Rungs:
        """Where the scheduler decides."""
        return Rungs(tuple(self.rungs), self.rung_unit, self.rung_min_epochs)

    @property
    def metric(self) -> Metric:
        """Metric by which the run chose epochs and ranks its trials."""
        name = self.settings.get("metric", "accuracy")
        return next(metric for metric in METRICS if metric == name)

    @property
    def class_weight(self) -> ClassWeight:
        """How the training loss weighted genres."""
        name = self.settings.get("class_weight", "none")
        return next(kind for kind in CLASS_WEIGHTS if kind == name)
