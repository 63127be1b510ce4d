"""The search space: that of the family, with fixed parameters (``--set``) and other ranges (``--space``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import SettingsError
from spaces.training.family import Family

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

_SAMPLES = 256
"""Number of random suggestions that reveal the parameters of a conditional space."""
_KEYS = ("low", "high", "log", "choices")


@dataclass(frozen=True)
class SearchSpace:
    """Search space as a define-by-run function for Optuna's trials.

    Trial 0, the BASELINE, keeps its published values even if they are fixed to others or outside a narrowed
    range, because all other trials are measured against it.

    Attributes
    ----------
    family : Family
        The model family.
    max_epochs : int
        Maximum number of epochs per trial.
    fixed : mapping
        Values of parameters that are not searched.
    ranges : mapping of str to mapping
        Changes to a parameter's range: ``low``, ``high``, ``log``, or ``choices``.
    """

    family: Family
    max_epochs: int
    fixed: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __call__(self, trial: optuna.Trial) -> dict[str, Any]:
        """Suggest one configuration; return its fixed parameters, which are not part of the study."""
        view = _View(trial, self, self.family.baseline(self.max_epochs) if trial.number == 0 else {})
        self.family.space(view, self.max_epochs)
        return view.fixed

    @cached_property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """Distribution of each searched parameter, including conditional ones."""
        distributions: dict[str, BaseDistribution] = {}
        for drawn in self._drawn:
            distributions |= drawn
        return dict(sorted(distributions.items()))

    @cached_property
    def _drawn(self) -> list[dict[str, BaseDistribution]]:
        """Distributions in a number of random suggestions."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        samples = []
        for _ in range(_SAMPLES):
            trial = study.ask()
            view = _View(trial, self, {})
            self.family.space(view, self.max_epochs)
            samples.append(trial.distributions | view.single)
        return samples

    def leaves_out(self) -> dict[str, Any]:
        """Return the BASELINE's values outside a narrowed range, for parameters that all trials have."""
        baseline = self.family.baseline(self.max_epochs)
        return {
            name: baseline[name]
            for name in self.ranges
            if name in baseline
            and all(name in drawn for drawn in self._drawn)
            and not contains(self.distributions[name], baseline[name])
        }

    def describe(self) -> dict[str, Any]:
        """Return the distribution of each parameter as Optuna's JSON; fixed parameters have one value.

        Categorical choices include the BASELINE's value, because trial 0 always has it.
        """
        import optuna

        baseline = self.family.baseline(self.max_epochs)
        described = {}
        for name, distribution in self.distributions.items():
            if isinstance(distribution, optuna.distributions.CategoricalDistribution) and name in baseline:
                choices = [*distribution.choices]
                if baseline[name] not in choices:
                    choices.append(baseline[name])
                distribution = optuna.distributions.CategoricalDistribution(choices)
            described[name] = json.loads(optuna.distributions.distribution_to_json(distribution))
        return described

    def narrow(self, name: str, distribution: BaseDistribution) -> BaseDistribution:
        """Return the distribution of a parameter with the requested changes."""
        import optuna

        change = self.ranges.get(name)
        if change is None:
            return distribution
        if "choices" in change:
            return optuna.distributions.CategoricalDistribution(change["choices"])
        assert_numeric(name, distribution)
        options = {key: getattr(distribution, key) for key in ("low", "high", "log", "step")} | dict(change)
        if options["log"]:
            options["step"] = None if isinstance(distribution, optuna.distributions.FloatDistribution) else 1
        return type(distribution)(**options)


class _View:
    """Wrapper of a trial for a family's space that applies fixed values and narrowed ranges."""

    def __init__(self, trial: optuna.Trial, space: SearchSpace, reference: Mapping[str, Any]) -> None:
        self._trial = trial
        self._space = space
        self._reference = reference
        self.fixed: dict[str, Any] = {}
        self.single: dict[str, BaseDistribution] = {}

    @property
    def number(self) -> int:
        return self._trial.number

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> Any:
        from optuna.distributions import FloatDistribution

        return self._suggest(name, FloatDistribution(low, high, log=log, step=step))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        from optuna.distributions import IntDistribution

        return self._suggest(name, IntDistribution(low, high, log=log, step=step))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        from optuna.distributions import CategoricalDistribution

        return self._suggest(name, CategoricalDistribution(choices))

    def _suggest(self, name: str, original: BaseDistribution) -> Any:
        from optuna.distributions import CategoricalDistribution, IntDistribution

        distribution = self._space.narrow(name, original)
        if name in self._reference:
            published = self._reference[name]
            if name in self._space.fixed or not contains(distribution, published):
                self.fixed[name] = published
                return published
        elif name in self._space.fixed:
            self.fixed[name] = self._space.fixed[name]
            self.single[name] = _single(self.fixed[name], original)
            return self.fixed[name]
        if isinstance(distribution, CategoricalDistribution):
            return self._trial.suggest_categorical(name, distribution.choices)
        bounds: Any = distribution
        suggest: Any = (
            self._trial.suggest_int if isinstance(bounds, IntDistribution) else self._trial.suggest_float
        )
        return suggest(name, bounds.low, bounds.high, step=bounds.step, log=bounds.log)


def make_space(
    family: Family, max_epochs: int, *, fixed: Mapping[str, Any], file: str | None = None
) -> SearchSpace:
    """Create a search space and check it against that of the family.

    Parameters
    ----------
    family : Family
        The model family.
    max_epochs : int
        Maximum number of epochs per trial.
    fixed : mapping
        Fixed parameters; values may be text from the command line.
    file : str, optional
        YAML file: a parameter's name, then a list of choices or a mapping with ``low``, ``high`` and ``log``.

    Raises
    ------
    SettingsError
        For a parameter that the space does not have, or a value outside its range.
    """
    whole = SearchSpace(family, max_epochs)
    own = whole.distributions
    ranges = {} if file is None else _read_ranges(file, own)
    ranged = SearchSpace(family, max_epochs, {}, ranges)
    for name in ranges:
        ranged.narrow(name, own[name])
    longest = _most(ranged.narrow("epochs", own["epochs"]))
    if longest > max_epochs:
        raise SettingsError(f"--space {file}: epochs: {longest:g} is more than --max-epochs {max_epochs}")
    known = {name: ranged.narrow(name, distribution) for name, distribution in own.items()}
    values = {}
    for name, value in fixed.items():
        _require_known("--set", name, known)
        values[name] = _fit(f"--set {name}={value}", value, known[name])
    space = SearchSpace(family, max_epochs, values, ranges) if values or ranges else whole
    used = space.distributions
    for option, names in (("--set", values), ("--space", ranges)):
        for name in names:
            if name not in used:
                raise SettingsError(f"{option} {name}: never used with these fixed parameters")
    return space


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a distribution contains a value."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def assert_numeric(name: str, distribution: BaseDistribution) -> None:
    """Refuse bounds for a parameter that has choices."""
    import optuna

    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        raise SettingsError(f"--space: {name}: has no bounds; it is {_range(distribution)}")


def _read_ranges(file: str, own: Mapping[str, BaseDistribution]) -> dict[str, dict[str, Any]]:
    import yaml  # type: ignore[import-untyped]

    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"--space {file}: no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"--space {file}: not a YAML file ({error})") from error
    if not isinstance(content, dict) or not content:
        raise SettingsError(f"--space {file}: expected parameters, each with low and high, or with choices")
    where = f"--space {file}"
    return {str(name): _read_range(where, str(name), change, own) for name, change in content.items()}


def _read_range(where: str, name: str, change: Any, own: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    import optuna

    _require_known(where, name, own)
    if isinstance(change, list):
        change = {"choices": change}
    if not isinstance(change, dict) or not change or not set(change) <= set(_KEYS):
        raise SettingsError(f"{where}: {name}: expected a list of choices, or low, high and log")
    if "choices" in change:
        if len(change) > 1 or not isinstance(change["choices"], list) or not change["choices"]:
            raise SettingsError(f"{where}: {name}: choices stand alone, in a list of at least one")
        choices = [_fit(f"{where}: {name}={choice}", choice, own[name]) for choice in change["choices"]]
        return {"choices": tuple(dict.fromkeys(choices))}
    assert_numeric(name, own[name])
    number = int if isinstance(own[name], optuna.distributions.IntDistribution) else float
    try:
        # YAML takes 1e-4 for text, because it has no dot.
        read = {key: bool(value) if key == "log" else number(value) for key, value in change.items()}
        SearchSpace(_NO_FAMILY, 1, {}, {name: read}).narrow(name, own[name])
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{where}: {name}: {str(error).rstrip('.')}; it is {_range(own[name])}"
        ) from error
    return read


_NO_FAMILY: Any = None


def _most(distribution: BaseDistribution) -> float:
    """Return the largest value of a numeric distribution or of numbers to choose from."""
    choices = getattr(distribution, "choices", None)
    return float(max(choices) if choices else distribution.high)


def _require_known(where: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise SettingsError(f"{where}: no parameter {name!r}; the parameters are {', '.join(known)}")


def _fit(where: str, value: Any, distribution: BaseDistribution) -> Any:
    """Return a value in the type of its distribution, in which it must lie."""
    import optuna
    import yaml

    try:
        parsed = yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        parsed = value
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        for choice in distribution.choices:
            if type(choice) is bool or type(parsed) is bool:
                if choice is parsed:
                    return choice
            elif choice == parsed or str(choice) == str(value):
                return choice
    else:
        try:
            number = float(parsed)
        except (TypeError, ValueError):
            number = float("nan")
        whole = isinstance(distribution, optuna.distributions.IntDistribution)
        if type(parsed) is not bool and contains(distribution, number) and not (whole and number % 1):
            return int(number) if whole else number
    raise SettingsError(f"{where}: outside the space; {_range(distribution)}")


def _range(distribution: BaseDistribution) -> str:
    import optuna

    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return "one of " + ", ".join(str(choice) for choice in distribution.choices)
    bounds: Any = distribution
    return f"{bounds.low:g} to {bounds.high:g}"


def _single(value: Any, original: BaseDistribution) -> BaseDistribution:
    """Return the distribution of a parameter with one value."""
    import optuna

    if isinstance(original, optuna.distributions.CategoricalDistribution):
        return optuna.distributions.CategoricalDistribution((value,))
    return type(original)(value, value)
