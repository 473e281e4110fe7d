"""What became of the readings: the generator's own books."""

from __future__ import annotations

from loadgen.tally import Tally


def test_a_reading_accepted_twice_is_acked_twice_and_one_duplicate() -> None:
    """Acked counts each time, distinct counts the identity."""
    tally = Tally()

    for _ in range(2):
        tally.accept("meter-1", 60_000, 0)

    assert (tally.acked, tally.duplicates, tally.distinct) == (2, 1, 1)


def test_device_start_and_revision_tell_readings_apart() -> None:
    """Another device, another start or another revision is another reading."""
    tally = Tally()

    tally.accept("meter-1", 60_000, 0)
    tally.accept("meter-2", 60_000, 0)
    tally.accept("meter-1", 60_001, 0)
    tally.accept("meter-1", 60_000, 1)
    tally.accept("meter-1", 60_000, 1_000_000)
    tally.accept("meter-1", -60_000, 0)

    assert (tally.acked, tally.duplicates) == (6, 0)
    assert tally.distinct_of("meter-1") == 5
    assert tally.distinct_of("meter-3") == 0


def test_neighbouring_starts_with_high_revisions_do_not_collide() -> None:
    """The largest revision of one millisecond stays below the next millisecond."""
    tally = Tally()

    tally.accept("meter-1", 1, 1_000_000)
    tally.accept("meter-1", 2, 0)

    assert tally.duplicates == 0


def test_refusals_are_counted_by_reason_and_never_as_acked() -> None:
    """A refused reading is answered but not accepted."""
    tally = Tally()

    tally.accept("meter-1", 0, 0)
    tally.refuse("OUT_OF_RANGE")
    tally.refuse("OUT_OF_RANGE")
    tally.refuse("DEVICE_NOT_FOUND")

    assert tally.refused_by_reason == {"OUT_OF_RANGE": 2, "DEVICE_NOT_FOUND": 1}
    assert (tally.acked, tally.refused, tally.answered) == (1, 3, 4)


def test_a_reading_refused_first_and_accepted_later_is_no_duplicate() -> None:
    """A refusal leaves no identity behind."""
    tally = Tally()

    tally.refuse("DEVICE_NOT_FOUND")
    tally.accept("meter-1", 0, 0)

    assert (tally.acked, tally.duplicates) == (1, 0)
