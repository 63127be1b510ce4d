"""Private names of Ray and Optuna that the search uses: an upgrade that changes them fails here first.

Each test names the file that uses the names.
"""

from __future__ import annotations

import threading
from typing import get_type_hints

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from ray.tune import tune
from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch


def test_asha_has_brackets_with_rungs() -> None:
    """Used by ``search/tune/asha.py``."""
    scheduler = AsyncHyperBandScheduler(
        time_attr="epoch", metric="score", mode="max", max_t=9, grace_period=1, reduction_factor=3, brackets=2
    )
    assert [[epochs for epochs, _ in bracket._rungs] for bracket in scheduler._brackets] == [
        [9, 3, 1],
        [9, 3],
    ]
    assert all(recorded == {} for bracket in scheduler._brackets for _, recorded in bracket._rungs)
    assert scheduler._trial_info == {}
    trial = Trial("unknown", stub=True, trial_id="a")
    scheduler._trial_info["a"] = scheduler._brackets[0]
    scheduler.on_trial_result(None, trial, {"epoch": 1, "score": 0.5})
    assert dict(scheduler._brackets[0]._rungs)[1] == {"a": 0.5}


def test_optuna_search_keeps_its_study_and_trials() -> None:
    """Used by ``search/tune/optuna_searcher.py``."""

    def space(trial: optuna.Trial) -> None:
        trial.suggest_float("x", 0, 1)

    searcher = OptunaSearch(space=space, metric="score", mode="max")
    suggested = searcher.suggest("a")
    assert suggested is not None
    assert isinstance(searcher._ot_study, optuna.Study)
    assert searcher._ot_trials["a"].params == suggested
    assert searcher._completed_trials == set()


def test_a_frozen_trial_has_the_identifier_of_its_trial() -> None:
    """Used by ``search/storage/study.py``."""
    study = optuna.create_study()
    trial = study.ask()
    (frozen_trial,) = study.get_trials(deepcopy=False)
    assert frozen_trial._trial_id == trial._trial_id
    optuna.trial.Trial(study, frozen_trial._trial_id).set_user_attr("node", "b")
    assert study.trials[0].user_attrs == {"node": "b"}


def test_a_distribution_contains_internal_values() -> None:
    """Used by ``search/sampling/search_space.py``."""
    numbers, choices = FloatDistribution(0, 1), CategoricalDistribution(("relu", "gelu"))
    assert numbers._contains(numbers.to_internal_repr(0.5))
    assert not numbers._contains(numbers.to_internal_repr(2.0))
    assert choices._contains(choices.to_internal_repr("gelu"))


def test_the_tensorboard_logger_keeps_its_writers_by_trial() -> None:
    """Used by ``search/progress/tensorboard.py``."""
    logger = TBXLoggerCallback()
    assert logger._trial_writer == {}
    assert logger._trial_result == {}


def test_a_tune_run_ends_when_the_event_of_its_signal_handler_is_set() -> None:
    """Used by ``search/tune/interruption.py``."""
    event = tune._setup_signal_catching
    assert event.__module__ == tune.__name__
    assert "_setup_signal_catching" in tune.run.__code__.co_names
    assert get_type_hints(event)["return"] is threading.Event
