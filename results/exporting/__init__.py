"""Create exports: final training, formats, model cards."""
