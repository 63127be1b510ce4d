from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from data import prepare
from data.analysis.parameters import Embedding, Melspec, Parameters
from data.cache.cache import Cache
from data.cache.fingerprints import input_fingerprint, preparation_fingerprint, same_input
from search.storage.run_info import CacheRef
from tests.support.collection import make_collection

EMBEDDING = Embedding(encoder="onnx", sha256="a" * 64, sample_rate=16_000, pooling="mean", dimension=4)
PLAIN = Parameters().model_dump()
WITH_MELSPEC = Parameters(melspec=Melspec()).model_dump()
WITH_EMBEDDING = Parameters(embeddings={"small": EMBEDDING}).model_dump()


def prepared(audio: Path, cache: Path, *options: str) -> None:
    command = ["--audio", str(audio), "--cache", str(cache), "--workers", "1", *options]
    result = CliRunner().invoke(prepare.main, command)
    assert result.exit_code == 0, result.output


def test_a_kind_of_input_depends_only_on_its_own_parameters() -> None:
    assert same_input("features", PLAIN, WITH_MELSPEC)
    assert same_input("features", PLAIN, WITH_EMBEDDING)
    assert not same_input("melspec", PLAIN, WITH_MELSPEC)
    assert not same_input("embedding-small", PLAIN, WITH_EMBEDDING)
    other = Parameters(embeddings={"small": EMBEDDING.model_copy(update={"sha256": "b" * 64})}).model_dump()
    assert not same_input("embedding-small", other, WITH_EMBEDDING)
    longer = Parameters(segment_seconds=10).model_dump()
    assert not any(same_input(kind, PLAIN, longer) for kind in ("features", "melspec", "embedding-small"))


def test_a_parameter_with_its_default_value_is_not_hashed() -> None:
    assert input_fingerprint("features", {}, "c") == input_fingerprint("features", PLAIN, "c")
    assert input_fingerprint("features", PLAIN, "c") != input_fingerprint("features", PLAIN, "d")
    assert input_fingerprint("features", PLAIN, "c") != input_fingerprint("melspec", PLAIN, "c")


def test_parameters_without_embeddings_are_written_as_before() -> None:
    assert "embeddings" not in PLAIN
    assert Parameters.model_validate(WITH_EMBEDDING).embeddings == {"small": EMBEDDING}


@pytest.fixture
def old_cache(tmp_path: Path) -> Path:
    """A cache in the format of version 0.1, without the fingerprint of its collection."""
    cache = tmp_path / "cache"
    prepared(make_collection(tmp_path / "audio"), cache)
    content = json.loads((cache / "cache.json").read_text())
    assert content["fingerprint"] == preparation_fingerprint(content["parameters"], content.pop("collection"))
    (cache / "cache.json").write_text(json.dumps(content | {"format": 1}))
    return cache


def reference(cache: Path) -> CacheRef:
    """Return the reference to a cache that a run of version 0.1 stored."""
    info = Cache.open(cache).info
    common = info.model_dump(include={"fingerprint", "source", "synthetic", "parameters"})
    return CacheRef(uri=str(cache), **common)


def test_a_cache_of_version_1_has_the_collection_of_its_manifest(tmp_path: Path, old_cache: Path) -> None:
    new = tmp_path / "new"
    prepared(tmp_path / "audio", new)
    assert Cache.open(old_cache).info.collection is None
    assert Cache.open(old_cache).collection == Cache.open(new).collection
    old, current = Cache.open(old_cache), Cache.open(new)
    assert old.input_fingerprint("features") == current.input_fingerprint("features")


def test_an_old_run_stays_valid_when_its_cache_is_extended(tmp_path: Path, old_cache: Path) -> None:
    run = reference(old_cache)
    prepared(tmp_path / "audio", old_cache, "--melspec", "--window-seconds", "0.5")
    extended = Cache.open(old_cache)
    assert extended.info.fingerprint != run.fingerprint
    assert run.is_in(extended, "features")
    assert not run.is_in(extended, "melspec")
    later = CacheRef.of(extended, "melspec")
    assert run.same_collection(later)
    assert later.same_collection(run)
    assert later.data == extended.collection


def test_other_tracks_change_the_collection(tmp_path: Path, old_cache: Path) -> None:
    run = reference(old_cache)
    new = CacheRef.of(Cache.open(old_cache), "features")
    prepared(make_collection(tmp_path / "audio", tracks=4), old_cache)
    extended = Cache.open(old_cache)
    for reference_of_run in (run, new):
        assert not reference_of_run.is_in(extended, "features")
        assert not reference_of_run.same_collection(CacheRef.of(extended, "features"))
