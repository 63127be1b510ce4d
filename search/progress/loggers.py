"""Logs for other people's tools, by Tune's own callbacks: TensorBoard, MLflow, Weights & Biases.

Each is an extra of the package and off unless asked for. They log each report of a trial.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import SettingsError

if TYPE_CHECKING:
    from ray.tune import Callback

_UPLOAD_SECONDS = 120
"""How long the end of a search waits for Weights & Biases."""

_NEEDS = {
    "--tensorboard": ("tensorboardX", "tensorboard"),
    "--mlflow": ("mlflow", "mlflow"),
    "--wandb": ("wandb", "wandb"),
    "--searcher gp": ("torch", "gp"),
}
"""Module and extra that an option needs."""


def require_extra(option: str) -> None:
    """Refuse an option whose extra is not installed.

    Raises
    ------
    SettingsError
        Naming the extra.
    """
    module, extra = _NEEDS[option]
    if importlib.util.find_spec(module) is None:
        raise SettingsError(f"{option}: needs {module}; pip install -e '.[{extra}]'")


def make_loggers(
    name: str, *, state: Path, tensorboard: bool, mlflow: str | None, wandb: str | None
) -> list[Callback]:
    """Make the callbacks that were asked for.

    Parameters
    ----------
    name : str
        The run's name: MLflow's experiment, and the group in Weights & Biases.
    state : Path
        Folder of Tune's own state inside the run's.
    tensorboard : bool
        Whether to write event files there: ``tensorboard --logdir runs/RUN/ray``.
    mlflow : str or None
        Tracking URI, such as ``sqlite:///mlflow.db``.
    wandb : str or None
        Project.
    """
    loggers: list[Callback] = []
    if tensorboard:
        from search.progress.tensorboard import TensorBoardEvents

        loggers.append(TensorBoardEvents(state))
    if mlflow is not None:
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        loggers.append(MLflowLoggerCallback(tracking_uri=mlflow, experiment_name=name))
    if wandb is not None:
        from ray.air.integrations.wandb import WandbLoggerCallback

        # The mode is told, because the process that logs has the environment that Ray was started in.
        mode = os.environ.get("WANDB_MODE")
        loggers.append(
            WandbLoggerCallback(
                project=wandb,
                group=name,
                excludes=["curve", "error"],
                mode=mode,
                upload_timeout=_UPLOAD_SECONDS,
            )
        )
    return loggers
