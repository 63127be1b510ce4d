"""Splits, tasks, scores and statistics of tracks, which search and results share."""
