"""Splits, tasks, and the statistics of predictions."""
