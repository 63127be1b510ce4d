"""Transfer learning: pretrained image networks, their weights, and heads on their frozen outputs."""
