"""Training code that families share: the contract of a family, batches, devices, learning rates, learners."""
