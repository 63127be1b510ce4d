"""Training of dense networks, all folds in one compiled epoch."""
