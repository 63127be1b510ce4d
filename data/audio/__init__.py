"""Audio decoding and spectrogram images."""
