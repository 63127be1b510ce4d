"""A run in Python: its best trial, tables, report, export and plots."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import optuna
import pandas as pd

from data.errors import HarnessError
from data.io.counts import counted
from results.evaluation.study import load_study
from results.evaluation.trials import BASELINE, BEST, Trial
from results.exporting.writer import export_trial
from results.ranking.boards import boards
from results.ranking.comparison import Comparison, compare
from results.ranking.references import run_names, trial_at
from results.reporting.page import write_report
from search.storage.run_folder import RunFolder
from search.storage.search_record import is_search, read_record

if TYPE_CHECKING:
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    from results.model.classifier import Classifier
    from results.model.ensemble import Ensemble


class OpenedRun:
    """A finished or running search, or a search over several families.

    Parameters
    ----------
    name : str
        Name of a run, or of a search over several families.
    runs : str or Path
        Folder of the runs.

    Raises
    ------
    RunError
        If it does not exist; the message contains the nearest name.

    Examples
    --------
    >>> run = OpenedRun("gtzan")  # doctest: +SKIP
    >>> run.best.name, run.best_config["units_1"]  # doctest: +SKIP
    ('gtzan:4', 240)
    >>> run.export("exports/gtzan").predict("song.mp3").genre  # doctest: +SKIP
    'jazz'
    """

    def __init__(self, name: str, runs: str | Path = "runs") -> None:
        self.name = name
        self.runs = str(runs)
        self._run_names = run_names([name], self.runs)

    @property
    def folders(self) -> list[RunFolder]:
        """The folder of the run, or of the run of each family."""
        return [RunFolder.at(self.runs, name) for name in self._run_names]

    def _started(self) -> list[RunFolder]:
        """Return the runs that have recorded a trial; all runs if none has, so that reading one says why."""
        started = [run for run in self.folders if run.folder.exists("trials.parquet")]
        return started or self.folders

    @property
    def best(self) -> Trial:
        """The best trial.

        Raises
        ------
        RunError
            If no trial has a score.
        """
        return self.trial("best")

    @property
    def best_config(self) -> dict[str, Any]:
        """Configuration of the best trial."""
        return self.best.config

    def trial(self, wanted: str | int) -> Trial:
        """Find a scored trial by its number, ``best`` or ``baseline``, or by its name ``RUN:4``.

        Of a search over several families, ``best`` is the best of all, and ``baseline`` the BASELINE of the
        family with the best trial. Its other trials have the names of their runs.

        Raises
        ------
        RunError
            If the trial does not exist or has no score.
        """
        reference = str(wanted) if ":" in str(wanted) else f"{self.name}:{wanted}"
        if wanted == BASELINE and self._run_names != [self.name]:
            reference = f"{self.best.run.name}:{BASELINE}"
        return trial_at(reference, self.runs)

    @property
    def trials(self) -> pd.DataFrame:
        """All trials: their names and families, and the columns of ``trials.parquet``.

        The trials of a family are in the order of suggestion.

        Raises
        ------
        RunError
            If no trial has been recorded yet.
        """
        tables = []
        for run in self._started():
            table = run.trials()
            table.insert(0, "name", [f"{run.name}:{number}" for number in range(len(table))])
            table.insert(1, "family", run.info().family)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def leaderboard(self, *, top: int = 10) -> pd.DataFrame:
        """Return the best trials, as `results.leaderboard` of this run alone.

        Parameters
        ----------
        top : int
            Number of best trials; the BASELINE is always included.
        """
        return leaderboard_table(self.runs, names=self._run_names, top=top)

    def compare(self, a: str | int = "best", b: str | int = "baseline") -> Comparison:
        """Compare two trials with a paired test on the tracks that both validated.

        Parameters
        ----------
        a, b : str or int
            See `trial`.

        Raises
        ------
        RunError
            If a trial does not exist or has no predictions.
        """
        return compare(self.trial(a), self.trial(b))

    def report(self, out: str | Path = "report.html", *, audio: Literal["clips", "none"] = "clips") -> Path:
        """Write the HTML report and return its path; ``none`` leaves out the clips of confused tracks."""
        return write_report(self.runs, self._run_names, out, audio=audio)

    def export(
        self,
        out: str | Path,
        trial: str | int = "best",
        *,
        formats: Sequence[str] | None = None,
        cache: str | None = None,
    ) -> Classifier | Ensemble:
        """Train a trial on training + validation tracks, evaluate it once on the test set, and export it.

        Parameters
        ----------
        out : str or Path
            Folder to create.
        trial : str or int
            See `trial`.
        formats : sequence of str, optional
            Additional formats: ``onnx``, ``tflite``, ``savedmodel``. The default is ``onnx`` where the extra
            of that name is installed.
        cache : str, optional
            Location of the run's cache, if it was moved.

        Returns
        -------
        Classifier or Ensemble
            The exported model, loaded.

        Raises
        ------
        ExportError
            If the folder exists or cannot be written.
        """
        import results

        chosen: dict[str, Any] = {}
        if trial == BEST and self._run_names != [self.name]:
            # The best of all families was chosen among their trials, not among those of its own run.
            ranked, _ = boards(self.runs, top=1, names=self._run_names)
            chosen = {"among": sum(board.ranked for board in ranked), "correction": ranked[0].correction}
        export_trial(self.trial(trial), out, runs=self.runs, formats=formats, cache=cache, **chosen)
        return results.load(out)

    def plot_history(self) -> go.Figure:
        """Plot the score of each trial and the best so far, with ``optuna.visualization``."""
        return self._plot("plot_optimization_history")

    def plot_importances(self) -> go.Figure:
        """Plot the importance of each parameter for the score."""
        return self._plot("plot_param_importances")

    def plot_slices(self, *parameters: str) -> go.Figure:
        """Plot the score over each parameter; by default over all."""
        return self._plot("plot_slice", params=list(parameters) or None)

    def plot_contour(self, first: str, second: str) -> go.Figure:
        """Plot the score over two parameters."""
        return self._plot("plot_contour", params=[first, second])

    def plot_curves(self) -> go.Figure:
        """Plot the score of each trial over its epochs."""
        return self._plot("plot_intermediate_values")

    def _plot(self, name: str, **options: Any) -> go.Figure:
        """Draw a plot of ``optuna.visualization`` for the run with the best trial."""
        study = load_study(self.best.run)
        plot = getattr(optuna.visualization, name)
        if name not in ("plot_intermediate_values",):
            options["target_name"] = self.best.info.metric
        figure: go.Figure = plot(study, **options)
        figure.update_layout(title=f"{figure.layout.title.text}: {self.best.run.name}")
        return figure

    def __repr__(self) -> str:
        """Return one line: the run, its trials, and the best score."""
        return f"<{type(self).__name__} {self.name}: {'; '.join(self._summary())}>"

    def _repr_html_(self) -> str:
        """Return the summary and the leaderboard for notebooks."""
        lines = "<br>".join(html.escape(line) for line in self._summary())
        try:
            table = self.leaderboard()[["rank", "name", "family", "val_accuracy", "low", "high", "status"]]
            text = table.to_html(index=False, float_format="{:.3f}".format)
        except HarnessError:
            text = ""
        return f"<p><b>{html.escape(self.name)}</b><br>{lines}</p>{text}"

    def _summary(self) -> list[str]:
        infos = [run.info() for run in self.folders]
        families = ", ".join(dict.fromkeys(info.family for info in infos))
        status: str = infos[0].status
        if is_search(self.runs, self.name):
            status = read_record(self.runs, self.name).status
        lines = [f"{families}, {status}"]
        try:
            best = self.best
            lines.append(
                f"{counted(len(self.trials), 'trial')}; best {best.name}, {100 * best.val_accuracy:.1f} %"
            )
        except HarnessError:
            lines.append("no trial has a score")
        if any(info.cache.synthetic for info in infos):
            lines.append("SYNTHETIC data")
        return lines


def leaderboard_table(
    runs: str | Path = "runs",
    *,
    names: Sequence[str] | None = None,
    family: str | None = None,
    top: int = 10,
) -> pd.DataFrame:
    """Rank trials; see ``python -m results.leaderboard``.

    Parameters
    ----------
    runs : str or Path
        Folder of the runs.
    names : sequence of str, optional
        Rank only these runs or searches.
    family : str, optional
        Rank only this family.
    top : int
        Number of best trials per table.

    Returns
    -------
    DataFrame
        One row per trial: ``table`` (accuracies of different tables are not comparable), and the attributes
        of `results.ranking.entries.Entry`.

    Raises
    ------
    RunError
        If no run, or no trial with a score, exists.
    """
    expanded = None if names is None else run_names(names, str(runs))
    ranked, _ = boards(str(runs), family=family, top=top, names=expanded)
    return pd.DataFrame(
        [{"table": board.number, **asdict(entry)} for board in ranked for entry in board.entries]
    )
