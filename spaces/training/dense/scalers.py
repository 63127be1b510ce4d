"""Feature scalers: fitted by scikit-learn on training rows, carried as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Scaler = list[dict[str, Any]]
"""The fitted steps of a scaling, as JSON-like content."""
SCALERS = ("standard", "robust", "power", "quantile")
"""Names of the scalings."""

_QUANTILES = 200
"""Knots of the quantile scaling at most; the number of training rows bounds them as well."""

_FITTED = {
    "StandardScaler": ("mean_", "var_", "scale_"),
    "RobustScaler": ("center_", "scale_"),
    "PowerTransformer": ("lambdas_",),
    "QuantileTransformer": ("quantiles_", "references_"),
}
"""What `sklearn.preprocessing` learns of the data, by class; all arrays of float64."""


def fit_scaler(name: str, X: np.ndarray) -> Scaler:
    """Fit a scaling.

    Parameters
    ----------
    name : str
        One of `SCALERS`: ``standard`` (mean 0, variance 1), ``robust`` (median and quartiles), ``power``
        (Yeo and Johnson, 2000), ``quantile`` (ranks to a normal distribution).
    X : ndarray, shape (n, n_features)
        Training rows, and nothing but training rows.

    Returns
    -------
    Scaler
        What `apply_scaler` takes.
    """
    from sklearn.preprocessing import PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

    match name:
        case "standard":
            steps: Sequence[Any] = (StandardScaler(),)
        case "robust":
            steps = (RobustScaler(),)
        case "power":
            # Standardised first: the power's likelihood overflows on columns such as rolloff_var (1e6).
            steps = (StandardScaler(), PowerTransformer(standardize=False), StandardScaler())
        case "quantile":
            knots = min(_QUANTILES, len(X))
            steps = (QuantileTransformer(n_quantiles=knots, output_distribution="normal", subsample=None),)
        case _:
            raise ValueError(f"scaler {name!r} is not one of {', '.join(SCALERS)}")
    fitted = []
    for step in steps:
        X = step.fit_transform(X)
        learnt = _FITTED[type(step).__name__]
        state: dict[str, Any] = {key: np.asarray(getattr(step, key)).tolist() for key in learnt}
        fitted.append({"step": type(step).__name__, **state})
    return fitted


def apply_scaler(fitted: Sequence[Mapping[str, Any]], X: np.ndarray) -> np.ndarray:
    """Scale rows by fitted steps.

    Parameters
    ----------
    fitted : sequence of mapping
        What `fit_scaler` gave, possibly by way of JSON.
    X : ndarray, shape (n, n_features)
        Any rows.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
        The scaled rows.
    """
    from sklearn import preprocessing

    parameters: dict[str, dict[str, Any]] = {
        "PowerTransformer": {"standardize": False},
        "QuantileTransformer": {"output_distribution": "normal", "subsample": None},
    }
    for state in fitted:
        name = state["step"]
        step = getattr(preprocessing, name)(**parameters.get(name, {}))
        for key in _FITTED[name]:
            setattr(step, key, np.asarray(state[key], dtype=np.float64))
        step.n_features_in_ = X.shape[1]
        X = step.transform(X)
    return np.asarray(X, dtype=np.float32)
