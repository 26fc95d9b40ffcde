"""Every quality metric with its direction and name, apart from the code that measures it: pages draw arrows without importing an interpreter."""

from __future__ import annotations

HIGHER_IS_BETTER = {"accuracy": True, "agreement": True, "auc": True, "f1": True, "mae": False, "mse": False, "deviation": False}
""" "deviation" is the mean absolute difference from the float32 baseline's outputs."""
METRIC_WORDS = {
    "accuracy": "accuracy",
    "agreement": "agreement with the original",
    "auc": "AUC",
    "f1": "F1",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "deviation": "deviation from the original",
}
FRACTIONS = frozenset({"accuracy", "agreement"})
"""Metrics that are written in per cent."""
