"""Splits, tasks, scores and statistics of tracks: what both search and results compute with."""
