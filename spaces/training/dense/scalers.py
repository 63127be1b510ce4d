"""Feature scalers: scikit-learn fits them on training rows; their parameters are stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Scaler = list[dict[str, Any]]
"""Parameters of the fitted steps of a scaler, as JSON-compatible values."""
SCALERS = ("standard", "robust", "power", "quantile")
"""Names of the scalers."""

_MAX_QUANTILES = 200
"""Maximum number of quantiles of the quantile scaler."""

_FITTED_ATTRIBUTES = {
    "StandardScaler": ("mean_", "var_", "scale_"),
    "RobustScaler": ("center_", "scale_"),
    "PowerTransformer": ("lambdas_",),
    "QuantileTransformer": ("quantiles_", "references_"),
}
"""Attributes that a fit sets, by class of `sklearn.preprocessing`; all are arrays of float64."""


def fit_scaler(name: str, X: np.ndarray) -> Scaler:
    """Fit a scaler.

    Parameters
    ----------
    name : str
        One of `SCALERS`: ``standard`` (mean 0, variance 1), ``robust`` (median and quartiles), ``power``
        (Yeo and Johnson, 2000), ``quantile`` (ranks to a normal distribution).
    X : ndarray, shape (n, n_features)
        Training rows only.

    Returns
    -------
    Scaler
        Parameters for `apply_scaler`.
    """
    from sklearn.preprocessing import PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

    match name:
        case "standard":
            steps: Sequence[Any] = (StandardScaler(),)
        case "robust":
            steps = (RobustScaler(),)
        case "power":
            # Standardise first, because the likelihood overflows on large values such as rolloff_var (1e6).
            steps = (StandardScaler(), PowerTransformer(standardize=False), StandardScaler())
        case "quantile":
            n_quantiles = min(_MAX_QUANTILES, len(X))
            steps = (
                QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal", subsample=None),
            )
        case _:
            raise ValueError(f"scaler {name!r} is not one of {', '.join(SCALERS)}")
    scaler = []
    for step in steps:
        X = step.fit_transform(X)
        attributes = _FITTED_ATTRIBUTES[type(step).__name__]
        values: dict[str, Any] = {key: np.asarray(getattr(step, key)).tolist() for key in attributes}
        scaler.append({"step": type(step).__name__, **values})
    return scaler


def apply_scaler(scaler: Sequence[Mapping[str, Any]], X: np.ndarray) -> np.ndarray:
    """Scale rows with a fitted scaler.

    Parameters
    ----------
    scaler : sequence of mapping
        Result of `fit_scaler`, possibly after conversion to and from JSON.
    X : ndarray, shape (n, n_features)
        Rows to scale.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
        Scaled rows.
    """
    from sklearn import preprocessing

    options: dict[str, dict[str, Any]] = {
        "PowerTransformer": {"standardize": False},
        "QuantileTransformer": {"output_distribution": "normal", "subsample": None},
    }
    for values in scaler:
        name = values["step"]
        step = getattr(preprocessing, name)(**options.get(name, {}))
        for key in _FITTED_ATTRIBUTES[name]:
            setattr(step, key, np.asarray(values[key], dtype=np.float64))
        step.n_features_in_ = X.shape[1]
        X = step.transform(X)
    return np.asarray(X, dtype=np.float32)
