"""Pretrained encoders: networks that convert audio to vectors."""
