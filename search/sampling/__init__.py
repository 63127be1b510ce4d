"""Search spaces and samplers."""
