"""The rooms of the report: what is read of a run, its figures and tables, and the page they stand on."""
