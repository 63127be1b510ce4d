"""Tests of what is installed: locks, wheel, and the installation that only predicts."""
