"""A search over several families: one budget, which goes to the families in rounds."""
