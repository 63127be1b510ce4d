"""How runs were made, as names and values; what several runs share is separated from what differs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePath

from results.evaluation.correction import correct_run
from results.evaluation.descriptions import source, split
from results.reporting.run_data import RunData

Facts = list[tuple[str, str]]


def outcome(run_data: RunData, *, corrected: bool) -> Facts:
    """Describe the best trial of a run against its BASELINE.

    Parameters
    ----------
    run_data : RunData
        The run.
    corrected : bool
        Whether to correct the score for the choice among the trials, which reads their predictions.
    """
    best, baseline = run_data.best, run_data.trials["val_accuracy"].iloc[0]
    lift = (
        f", {100 * (best.val_accuracy - baseline):+.1f} points over the BASELINE"
        if baseline == baseline
        else ""
    )
    facts = [("best", f"{best.name}: {100 * best.val_accuracy:.1f} %{lift}")]
    correction = correct_run(best) if corrected else None
    return facts if correction is None else [*facts, ("correction", correction.sentence())]


def facts(run_data: RunData) -> Facts:
    """Describe the search, its data and its split."""
    info, status = run_data.info, run_data.trials["status"].value_counts()
    counts = ", ".join(f"{count} {name}" for name, count in status.items())
    synthetic = " SYNTHETIC." if info.cache.synthetic else ""
    options = ", ".join(
        f"{key} {info.settings[key]}" for key in ("searcher", "scheduler") if key in info.settings
    )
    # The duration is recorded when the search stops.
    duration = f"{info.seconds / 60:.1f} minutes; " if info.seconds else ""
    return [
        ("family", info.family),
        ("trials", f"{len(run_data.trials)} of {info.trials} ({counts}), at most {info.max_epochs} epochs"),
        ("search", f"{options}; seed {info.seed}"),
        ("duration", f"{duration}{info.status}"),
        (
            "data",
            f"{source(info)}; {len(info.classes)} genres ({', '.join(info.classes)}); {info.cache.uri},"
            f" fingerprint {info.cache.data[:16]}.{synthetic}",
        ),
        (
            "split",
            f"{split(info)}, {info.n_validated} tracks validated, {info.n_test} held out for the test and"
            f" not used here; fingerprint {info.split_fingerprint[:8]}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in info.versions.items())),
        ("program", f"git revision {info.git_revision}" if info.git_revision else "an installed version"),
        ("command", _typed(info.command_line)),
    ]


def _typed(command_line: Sequence[str]) -> str:
    """Return a recorded command line as the user typed it, without the folder of the program."""
    if not command_line:
        return ""
    program, *arguments = command_line
    path = PurePath(program)
    if path.parts[-2:] == ("search", "run.py"):
        return shlex.join(["python", "-m", "search.run", *arguments])
    return shlex.join([path.name, *arguments])


def shared(all_facts: Sequence[Facts]) -> Facts:
    """Return the facts that are the same for all runs; none of a single run."""
    if len(all_facts) < 2:
        return []
    return [fact for fact in all_facts[0] if all(fact in others for others in all_facts[1:])]
