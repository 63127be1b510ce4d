"""Audio to Parquet caches to arrays and splits. Knows nothing of models or of Ray Tune."""

from contextlib import suppress

from data.errors import HarnessError
from data.io.home import use_scratch_for_home

# Before numba is imported, here and in each worker process. A command reports the error that is ignored here.
with suppress(HarnessError):
    use_scratch_for_home()
