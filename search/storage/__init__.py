"""The folder of a run: settings, study, checkpoints and tables."""
