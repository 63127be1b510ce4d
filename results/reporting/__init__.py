"""The HTML report: the data of a run, its figures and tables, and the page."""
