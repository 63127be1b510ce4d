"""Loggers for TensorBoard, MLflow and Weights & Biases, based on Tune's callbacks.

Each needs an extra of the package and is off by default. They log each report of a trial.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.tune import Callback

_UPLOAD_SECONDS = 120
"""Maximum time in seconds for the upload to Weights & Biases at the end of a search."""


def make_loggers(
    name: str, *, state: Path, tensorboard: bool, mlflow: str | None, wandb: str | None
) -> list[Callback]:
    """Create the requested callbacks.

    Parameters
    ----------
    name : str
        Name of the run: the experiment in MLflow and the group in Weights & Biases.
    state : Path
        Folder of Tune's state inside the run's folder.
    tensorboard : bool
        Whether to write event files into `state`; read them by ``tensorboard --logdir runs/RUN/ray``.
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

        # Passed on, because the logging process has the environment in which Ray was started.
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
