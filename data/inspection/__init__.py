"""The page of ``data.inspect --html``: tables, distributions, and clips to listen to."""
