"""Trials and predictions, read from runs."""
