from __future__ import annotations

from tests.support.processes import python

_NUMPY_FAMILY = """
import sys
from spaces.training.family import Family

class Counting(Family):
    def set_up(self, *, cpus, gpus, deterministic=False):
        return not gpus
    def release_memory(self):
        pass
    def space(self, trial, max_epochs): ...
    def learner(self, config, task, *, seed): ...
    def prepare(self, X, preparation): ...

family = Counting()
print(family.set_up(cpus=1, gpus=False), family.set_up(cpus=1, gpus=True))
family.release_memory()
assert "tensorflow" not in sys.modules
assert "keras" not in sys.modules
"""


def test_a_family_that_overrides_set_up_never_imports_tensorflow() -> None:
    process = python(_NUMPY_FAMILY)
    assert (process.stdout, process.returncode) == ("True False\n", 0), process.stderr
