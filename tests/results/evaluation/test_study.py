from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from data.errors import RunError
from results.evaluation.study import storage
from search.storage.run_folder import RunFolder
from tests.support.runs import make_info

WRITES: dict[str, Callable[[BaseStorage], object]] = {
    "create_new_study": lambda study_storage: study_storage.create_new_study(
        [StudyDirection.MAXIMIZE], "other"
    ),
    "delete_study": lambda study_storage: study_storage.delete_study(0),
    "set_study_user_attr": lambda study_storage: study_storage.set_study_user_attr(0, "key", 1),
    "set_study_system_attr": lambda study_storage: study_storage.set_study_system_attr(0, "key", 1),
    "create_new_trial": lambda study_storage: study_storage.create_new_trial(0),
    "set_trial_param": lambda study_storage: study_storage.set_trial_param(
        0, "x", 0.5, FloatDistribution(0, 1)
    ),
    "set_trial_state_values": lambda study_storage: study_storage.set_trial_state_values(
        0, TrialState.COMPLETE, [1.0]
    ),
    "set_trial_intermediate_value": lambda study_storage: study_storage.set_trial_intermediate_value(
        0, 1, 0.5
    ),
    "set_trial_user_attr": lambda study_storage: study_storage.set_trial_user_attr(0, "key", 1),
    "set_trial_system_attr": lambda study_storage: study_storage.set_trial_system_attr(0, "key", 1),
}


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """The study of the run ``a`` as its search has it open, with an unfinished trial."""
    RunFolder.at(tmp_path, "a").write_info(make_info("a"))
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "a" / "study.journal"))
    running_study = optuna.create_study(study_name="search", storage=optuna.storages.JournalStorage(journal))
    running_study.ask()
    return running_study


@pytest.mark.parametrize("name", WRITES)
def test_every_write_is_refused(study: optuna.Study, tmp_path: Path, name: str) -> None:
    before = (tmp_path / "a" / "study.journal").read_bytes()
    opened = storage(RunFolder.at(tmp_path, "a"))
    with pytest.raises(RunError, match="the study is read-only here"):
        WRITES[name](opened)
    assert (tmp_path / "a" / "study.journal").read_bytes() == before
    assert [summary.study_name for summary in opened.get_all_studies()] == ["search"]


def test_the_list_of_writes_is_complete() -> None:
    write_methods = {name for name in vars(BaseStorage) if name.startswith(("set_", "create_", "delete_"))}
    assert write_methods == set(WRITES)


def test_later_writes_of_the_search_are_visible(study: optuna.Study, tmp_path: Path) -> None:
    opened = storage(RunFolder.at(tmp_path, "a"))
    assert opened.get_n_trials(0) == 1
    study.ask()
    assert opened.get_n_trials(0) == 2
