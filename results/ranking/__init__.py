"""Leaderboards and comparisons of trials."""
