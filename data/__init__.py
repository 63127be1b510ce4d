"""Audio to Parquet caches to arrays and splits. Knows nothing of models or of Ray Tune."""
