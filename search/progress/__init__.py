"""Progress display and experiment loggers."""
