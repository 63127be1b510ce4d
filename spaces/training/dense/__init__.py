"""Training of dense networks, with all folds in one compiled epoch."""
