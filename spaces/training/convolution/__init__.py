"""Training of convolutional networks on spectrograms and images."""
