"""Synthetic music for the demo data set."""
