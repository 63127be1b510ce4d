"""A numpy family that is surely worse than `tests.support.softmax`: its learning rate is far too small."""

from __future__ import annotations

from typing import ClassVar

from data.dataset.task import Task
from spaces.training.family import Config, Learner
from tests.support.softmax import Softmax


class WeakSoftmax(Softmax):
    """Softmax regression on unscaled features that hardly learns."""

    name: ClassVar[str] = "weak_softmax"
    PORTFOLIO: ClassVar[tuple[Config, ...]] = ()

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Untrained networks of a configuration, with another learning rate."""
        weak = {**config, "scaler": "none", "learning_rate": 1e-12}
        return super().learner(weak, task, seed=seed)


FAMILY = WeakSoftmax()
