"""Ray Tune: trials, schedulers, stopping and recording."""
