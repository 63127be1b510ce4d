"""The module that `spaces.get` imports; see `tests.support.softmax`."""

from tests.support.softmax import FAMILY

__all__ = ["FAMILY"]
