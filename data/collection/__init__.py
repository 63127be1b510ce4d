"""A folder of music: its files, labels, groups and faults."""
