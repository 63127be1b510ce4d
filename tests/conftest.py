"""Fixtures of many tests: a small cache, one Ray for the session, and the real data if it is available."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from data.analysis.encoders.musicnn_weights import find_weights
from data.errors import EncoderError
from tests.support.rows import make_rows, write_cache
from tests.support.softmax import Softmax, registered

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# By default, Ray's workers yield to all other processes, and hardly run on a busy machine.
os.environ.setdefault("RAY_worker_niceness", "0")
# Before Ray starts, whose workers write there too.
_SCRATCH = tempfile.TemporaryDirectory(prefix="genre-search-tests-")
os.environ["GENRE_SEARCH_SCRATCH"] = _SCRATCH.name
hypothesis.settings.register_profile(
    "tests", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take longest, so that parallel processes end at about the same time.

    These are the files that contain slow tests, then those that search with Ray.
    """
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    ray_files = {item.path for item in items if "ray_cluster" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path not in slow_files, item.path not in ray_files))


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of three genres of twenty tracks."""
    return write_cache(tmp_path_factory.mktemp("small") / "cache", make_rows())


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One Ray for the session, with all cores and no dashboard."""
    import ray

    from search.tune.resources import ray_cluster as quiet_cluster

    with quiet_cluster(None):
        assert ray.is_initialized()
        yield


@pytest.fixture(scope="module")
def softmax() -> Iterator[Softmax]:
    """The numpy family, which `spaces.get` finds while the module's tests run."""
    with registered() as family:
        yield family


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real recordings and tables."""
    path = os.environ.get("GENRE_SEARCH_SHARED")
    if not path:
        pytest.skip("GENRE_SEARCH_SHARED does not name the folder of real recordings")
    return Path(path)


@pytest.fixture(scope="session")
def published_musicnn() -> None:
    """The published weights of MusiCNN, where ``make embeddings`` has installed them."""
    try:
        find_weights()
    except EncoderError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of an S3 server on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        import boto3

        boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket="music")
        yield "s3://music"
    server.stop()
