"""Feature scalers: scikit-learn fits them on training rows; their parameters are stored as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Scaler = list[dict[str, Any]]
"""Parameters of the fitted steps of a scaler, as JSON-compatible values."""
_Fitted = Mapping[str, np.ndarray]
SCALERS = ("standard", "robust", "power", "quantile")
"""Names of the scalers."""

_MAX_QUANTILES = 200
"""Maximum number of quantiles of the quantile scaler."""

_QUANTILE_MARGIN = 1e-7
"""Distance in which a value equals the lowest or highest quantile, and lowest rank, as in scikit-learn."""

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
    X = X.astype(X.dtype if X.dtype.kind == "f" else np.float64)
    for values in scaler:
        # Invalid content is reported before any arithmetic.
        fitted = {
            key: np.asarray(values[key], dtype=np.float64) for key in _FITTED_ATTRIBUTES[values["step"]]
        }
        X = _TRANSFORMS[values["step"]](X, fitted)
    return np.asarray(X, dtype=np.float32)


def _standardise(X: np.ndarray, fitted: _Fitted) -> np.ndarray:
    return (X - fitted["mean_"].astype(X.dtype)) / fitted["scale_"].astype(X.dtype)


def _centre(X: np.ndarray, fitted: _Fitted) -> np.ndarray:
    X -= fitted["center_"]
    X /= fitted["scale_"]
    return X


def _to_normal_power(X: np.ndarray, fitted: _Fitted) -> np.ndarray:
    """Transform each column by its power (Yeo and Johnson, 2000), as ``scipy.stats.yeojohnson``."""
    epsilon = np.finfo(X.dtype).eps
    columns = []
    for x, power in zip(X.T, fitted["lambdas_"], strict=True):
        positive, negative = np.log1p(np.maximum(x, 0)), np.log1p(np.maximum(-x, 0))
        if abs(power) >= epsilon:
            positive = np.expm1(power * positive) / power
        if abs(power - 2) > epsilon:
            negative = np.expm1((2 - power) * negative) / (2 - power)
        columns.append(np.where(x >= 0, positive, -negative))
    return np.column_stack(columns)


def _to_normal_quantiles(X: np.ndarray, fitted: _Fitted) -> np.ndarray:
    """Transform each column by its ranks among the training rows to a normal distribution."""
    from scipy.special import ndtri

    references = fitted["references_"]
    columns = []
    for x, quantiles in zip(X.T, fitted["quantiles_"].T, strict=True):
        # The mean of both directions, because equal values share several quantiles.
        ascending = np.interp(x, quantiles, references)
        descending = -np.interp(-x, -quantiles[::-1], -references[::-1])
        ranks = 0.5 * (ascending + descending)
        ranks[x + _QUANTILE_MARGIN > quantiles[-1]] = 1
        ranks[x - _QUANTILE_MARGIN < quantiles[0]] = 0
        columns.append(ranks)
    lowest, highest = ndtri(_QUANTILE_MARGIN - np.spacing(1)), ndtri(1 - (_QUANTILE_MARGIN - np.spacing(1)))
    return np.clip(ndtri(np.column_stack(columns)), lowest, highest)


_TRANSFORMS: Mapping[str, Callable[[np.ndarray, _Fitted], np.ndarray]] = {
    "StandardScaler": _standardise,
    "RobustScaler": _centre,
    "PowerTransformer": _to_normal_power,
    "QuantileTransformer": _to_normal_quantiles,
}
"""Function of each step; they equal ``transform`` of scikit-learn, which predicting does not need."""
