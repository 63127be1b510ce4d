"""Measurements: each prints ratios taken in one run, with the machine and the versions."""
