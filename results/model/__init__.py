"""Exported models: their files, and classification of audio."""
