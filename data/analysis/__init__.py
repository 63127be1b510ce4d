"""Signal analysis: from audio samples to features and spectrograms."""
