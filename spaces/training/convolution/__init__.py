"""Training of Keras networks on spectrograms, images and vectors."""
