"""What waits to be folded, and when it is due."""

from billing.segment import LoggedReading, Segment
from billing.tail import Tail

HOUR_MS = 3_600_000
NONE = (None,) * 9


def segment(batch_id: str, *starts_ms: int, device_id: str = "m-1", interval_ms: int = 60_000) -> Segment:
    """A segment of one device's readings that start at these instants."""
    readings = [LoggedReading("meter", device_id, start, interval_ms, 0, 1, (1, *NONE)) for start in starts_ms]
    return Segment(batch_id, 0, "w", 1, 0, 5, readings)


def test_a_span_is_due_when_it_is_full() -> None:
    """Sixty minutes of an hour are worth one write at once."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", *range(0, HOUR_MS - 60_000, 60_000)), now=0.0)

    assert tail.due(1.0, wait_seconds=10, limit=5) == []

    tail.hold(segment("b-2", HOUR_MS - 60_000), now=1.0)

    assert [key.span_start_ms for key in tail.due(1.0, wait_seconds=10, limit=5)] == [0]


def test_a_span_is_due_when_it_has_waited_long_enough() -> None:
    """A device that sends once an hour is folded all the same."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0), now=0.0)

    assert tail.due(9.9, wait_seconds=10, limit=5) == []
    assert len(tail.due(10.0, wait_seconds=10, limit=5)) == 1


def test_a_segment_is_done_only_when_each_of_its_spans_is_folded() -> None:
    """The mark in the log must not come before the last of its readings rests."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0, HOUR_MS), now=0.0)
    first, second = tail.due(99.0, wait_seconds=1, limit=5)

    assert tail.folded(tail.snapshot([first]), now=1.0) == []
    assert tail.folded(tail.snapshot([second]), now=1.0) == ["b-1"]
    assert tail.reading_count == 0


def test_what_arrives_while_a_span_is_folded_stays() -> None:
    """Only the readings that were folded are let go of."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0), now=0.0)
    (key,) = tail.due(99.0, wait_seconds=1, limit=5)
    snapshot = tail.snapshot([key])
    tail.hold(segment("b-2", 60_000), now=2.0)

    assert tail.folded(snapshot, now=3.0) == ["b-1"]
    assert [one.offset_ms for one in tail.observations(key)] == [60_000]
    assert set(tail.of_devices(["m-1"])) == {key}


def test_a_batch_is_held_once_until_its_mark_is_confirmed() -> None:
    """A search of the log that still finds it must not count it twice."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0), now=0.0)
    done = tail.folded(tail.snapshot(tail.due(99.0, wait_seconds=1, limit=5)), now=1.0)

    tail.hold(segment("b-1", 0), now=2.0)

    assert tail.reading_count == 0
    tail.marked(done)
    assert list(tail.batch_ids) == []


def test_a_full_tail_takes_no_more_and_folds_early() -> None:
    """Memory stays bounded: what does not fit waits in the log, and what is here is folded without waiting."""
    tail = Tail(reading_limit=4)
    tail.hold(segment("b-1", 0, 60_000, 120_000, 180_000), now=0.0)

    assert tail.hold(segment("b-2", HOUR_MS), now=0.0) is False
    assert len(tail.due(0.1, wait_seconds=10, limit=5)) == 1


def test_a_batch_without_readings_is_not_held() -> None:
    """A writer's sign of life has nothing to fold."""
    tail = Tail(reading_limit=4)

    assert tail.hold(segment("b-1"), now=0.0) is True
    assert list(tail.batch_ids) == []
