"""Pretrained encoders: networks that turn audio into vectors that say much about its music."""
