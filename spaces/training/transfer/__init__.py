"""Pretrained image networks, used as frozen feature extractors."""
