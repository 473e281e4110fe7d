"""Assignments laid out in time: which tariff and price an instant meets."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.tariffs.price_timeline import TariffSegment, price_timeline, segment_at
from billing.tariffs.tariff import FlatPricing, Price, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment

UTC = ZoneInfo("UTC")
ONE = Tariff("one", "", "EUR", FlatPricing(Decimal(1)), None, Decimal(0))
TWO = Tariff("two", "", "EUR", FlatPricing(Decimal(2)), None, Decimal(0))
TARIFFS = {"one": ONE, "two": TWO}


def assigned(*changes: tuple[str, int]) -> list[TariffAssignment]:
    """Assignments of meter `m-1`."""
    return [TariffAssignment("m-1", tariff_id, start_ms) for tariff_id, start_ms in changes]


def timeline(*changes: tuple[str, int], start_ms: int = 0, end_ms: int = 100) -> list[tuple[int, int, str]]:
    """Start, end and tariff of each segment."""
    segments = price_timeline(assigned(*changes), TARIFFS, UTC, start_ms, end_ms)
    return [(segment.start_ms, segment.end_ms, segment.tariff.tariff_id) for segment in segments]


def test_the_newest_assignment_that_has_begun_counts() -> None:
    """Each holds until the next begins, whatever the order they are given in."""
    assert timeline(("two", 40), ("one", -10)) == [(0, 40, "one"), (40, 100, "two")]


def test_the_timeline_begins_with_the_first_assignment() -> None:
    """Before it there is no price."""
    assert timeline(("one", 30)) == [(30, 100, "one")]
    assert timeline() == []
    assert timeline(("one", 100)) == []


def test_assignments_outside_of_the_span_do_not_show() -> None:
    """Neither one that was followed before nor one that begins after."""
    assert timeline(("two", -20), ("one", -10), ("two", 200)) == [(0, 100, "one")]


def test_the_same_tariff_again_is_one_segment() -> None:
    """Nothing changes where nothing differs."""
    assert timeline(("one", -10), ("one", 50), ("two", 60)) == [(0, 60, "one"), (60, 100, "two")]


def test_tariffs_out_of_effect_need_not_be_known() -> None:
    """Only those in effect are looked up."""
    assert timeline(("forgotten", -20), ("one", -10)) == [(0, 100, "one")]
    with pytest.raises(KeyError):
        timeline(("forgotten", -20))


def test_a_segment_holds_from_its_first_instant_to_before_its_last() -> None:
    """Half-open, so that every instant has one price."""
    segments = price_timeline(assigned(("one", 10), ("two", 40)), TARIFFS, UTC, 0, 100)

    assert segment_at(segments, 9) is None
    assert segment_at(segments, 10) == TariffSegment(10, 40, ONE, Price("flat", Decimal(1)))
    assert segment_at(segments, 39) == segment_at(segments, 10)
    assert segment_at(segments, 40) == TariffSegment(40, 100, TWO, Price("flat", Decimal(2)))
    assert segment_at(segments, 100) is None
