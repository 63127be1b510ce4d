"""The errors that this project raises on purpose.

A message is one line that says what is wrong, in which file or option, and what to do. Commands print
it and exit with status 2 (see `data.console`); anything that is not a `HarnessError` is a defect and keeps
its traceback.
"""


class HarnessError(Exception):
    """Base class of every error that a user can cause and fix."""


class AudioError(HarnessError):
    """An audio file cannot be read or used."""


class CacheError(HarnessError):
    """A cache is missing, incomplete, of another version, or lacks the requested data."""


class InputsChangedError(CacheError):
    """The inputs of a running search were removed or replaced."""


class SplitError(HarnessError):
    """Tracks cannot be split as requested."""


class SettingsError(HarnessError):
    """An option, or a combination of options, cannot work."""


class RunError(HarnessError):
    """A run folder is missing, unfinished, or unsuitable."""


class ExportError(HarnessError):
    """An exported model lacks a file, or a file of it is damaged."""


class EncoderError(HarnessError):
    """A pretrained encoder or its weights are missing or damaged, or it fails on a signal."""


class CalibrationError(HarnessError):
    """No temperature can be fitted to a model's probabilities."""


class OutputError(HarnessError):
    """A result cannot be written where the user wants it."""
