"""Writing of exports: retraining, formats, model cards."""
