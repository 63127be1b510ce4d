"""Exported models: their files, and how they classify audio."""
