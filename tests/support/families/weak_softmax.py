"""A second numpy family, which learns too slowly to be any good; see `tests.support.softmax`."""

from tests.support.weak_softmax import FAMILY

__all__ = ["FAMILY"]
