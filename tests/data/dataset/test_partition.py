from __future__ import annotations

import pandas as pd
import pytest

from data.dataset.partition import GivenSplit, given_split
from data.dataset.splits import TEST, TRAIN, UNUSED
from data.errors import SplitError


def tracks_of(*groups: str) -> pd.DataFrame:
    rows = [(f"{number:02d}", "ab"[number % 2], group) for number, group in enumerate(groups)]
    return pd.DataFrame(rows, columns=["track_id", "label", "group"], dtype=object)


def split_of(
    tracks: pd.DataFrame, sides: str, *, folds: int | None = None, test_fraction: float | None = None
) -> GivenSplit:
    """Split by sides that are written as one letter or digit per track; ``-`` is no side."""
    words = {"t": "train", "v": "valid", "e": "test"}
    named = {f"{number:02d}": words.get(side, side) for number, side in enumerate(sides) if side != "-"}
    return given_split(
        tracks,
        named,
        folds=folds,
        test_fraction=test_fraction,
        default_folds=2,
        default_test_fraction=0.2,
        seed=0,
    )


def single(count: int) -> pd.DataFrame:
    return tracks_of(*map(str, range(count)))


def test_three_sides_are_used_as_they_are() -> None:
    dealt = split_of(single(8), "ttttvvee")
    assert dealt.split.fold.tolist() == [TRAIN] * 4 + [0, 0, TEST, TEST]
    assert dealt.summary() == (
        "Tracks by the partition of the cache: 4 training, 2 validation, 2 test;"
        " --splits none sets the cache's partition aside"
    )


def test_numbers_are_folds_in_their_order() -> None:
    dealt = split_of(single(10), "3377aa--tt".replace("a", "1"))
    assert dealt.split.fold.tolist() == [1, 1, 2, 2, 0, 0, UNUSED, UNUSED, TRAIN, TRAIN]
    assert dealt.without_side == ["06", "07"]
    assert "in 3 folds; 2 tracks have no side, such as 06" in dealt.summary()


def test_training_tracks_are_dealt_if_no_validation_is_named() -> None:
    dealt = split_of(single(24), "t" * 20 + "eeee", folds=5)
    assert dealt.split.n_folds == 5
    assert dealt.split.fold[20:].tolist() == [TEST] * 4
    assert (dealt.split.fold[:20] >= 0).all()
    locked = split_of(single(40), "t" * 40, test_fraction=0.25)
    assert locked.split.test.sum() == 10


def test_a_group_on_two_sides_never_leaks() -> None:
    dealt = split_of(tracks_of("x", "y", "x", "y", "x", "z", "p", "q"), "tttvette")
    # The group x is in test, y in valid: their other tracks are not used.
    assert dealt.left_out == ["00", "01", "02"]
    assert dealt.split.fold.tolist()[:5] == [UNUSED, UNUSED, UNUSED, 0, TEST]
    assert "3 tracks are left out because their group is also on another side, such as 00" in dealt.summary()


@pytest.mark.parametrize(
    ("sides", "options", "message"),
    [
        (
            "ttttvvee",
            {"folds": 3},
            "--folds 3: the partition of the cache defines the validation; --splits none",
        ),
        (
            "ttttvv--",
            {"test_fraction": 0.1},
            "--test-fraction 0.1: the partition of the cache defines the test",
        ),
        ("tttttte-", {"test_fraction": 0.1}, "--test-fraction 0.1: .* --splits none"),
        ("11112222", {"folds": 5}, "--folds 5: "),
        ("1122vvee", {}, "numbered folds and valid"),
        ("1111--ee", {}, r"one fold only \(1\)"),
        ("vvvvvvee", {}, "no track is in train"),
        ("t-t-vvee", {}, "genre 'b' has no training track"),
    ],
)
def test_unusable_partitions_and_contradicting_options_are_refused(
    sides: str, options: dict[str, float], message: str
) -> None:
    with pytest.raises(SplitError, match=message) as caught:
        split_of(single(8), sides, **options)  # type: ignore[arg-type]
    assert "--splits none" in str(caught.value)
