"""Benchmarks. Each one prints ratios measured in one run; some also print the machine and the versions."""
