"""Which capacity of a region was valid when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.windows.region_capacity import RegionCapacity, capacity_at, milliwatts

FIRST = RegionCapacity("North", 200_000_000, 1_000, "jo", 900)
SECOND = RegionCapacity("North", 300_000_000, 2_000, "sam", 950)


@pytest.mark.parametrize(
    ("instant_ms", "valid"), [(999, None), (1_000, FIRST), (1_999, FIRST), (2_000, SECOND), (9_000, SECOND)]
)
def test_a_capacity_is_valid_until_the_next_begins(instant_ms: int, valid: RegionCapacity | None) -> None:
    """In whatever order they are given."""
    assert capacity_at([FIRST, SECOND], instant_ms) == valid
    assert capacity_at([SECOND, FIRST], instant_ms) == valid


def test_a_region_without_one_has_none() -> None:
    """Not 0."""
    assert capacity_at([], 5_000) is None


@pytest.mark.parametrize("other", [{"capacity_milliwatts": 1}, {"actor": "sam"}, {"start_ms": 5}, {"region": "South"}])
def test_the_same_said_later_is_the_same(other: dict[str, int | str]) -> None:
    """When it was said does not matter; anything else does."""
    assert FIRST.is_same_as(replace(FIRST, create_ms=5_000))
    assert not FIRST.is_same_as(replace(FIRST, **other))  # type: ignore[arg-type]


def test_a_capacity_is_whole_milliwatts_and_comes_back_as_it_was_given() -> None:
    """As people write it."""
    assert milliwatts(0.1) == 100_000
    assert milliwatts(1e9) == 10**15
    assert replace(FIRST, capacity_milliwatts=milliwatts(224_000.123456)).capacity_kw == 224_000.123456
