"""What ``results.predict`` does with its predictions: print them, write tags and labels, copy the files."""
