"""What waits to be folded, and when it is due."""

from billing.log.kind_columns import LoggedReading
from billing.log.schema import METER
from billing.log.segment import Segment
from billing.log.tail import Tail

HOUR_MS = 3_600_000
NONE = (None,) * (len(METER.columns) - 1)


def segment(batch_id: str, *starts_ms: int, partition: int = 0, device_id: str = "m-1") -> Segment:
    """A segment of one device's readings that start at these instants."""
    readings = [LoggedReading("meter", device_id, start, 60_000, 0, 1, (1, *NONE)) for start in starts_ms]
    return Segment.of(batch_id, partition, "w", 1, 0, 5, readings)


def ids(segments: list[Segment]) -> list[str]:
    """The batch ids of some segments."""
    return [one.batch_id for one in segments]


def test_a_partition_is_due_when_enough_has_gathered() -> None:
    """Many readings of a partition are worth writing at once."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0, 60_000, partition=3), now=0.0)

    assert tail.due(1.0, wait_seconds=10, reading_count=3) is None

    tail.hold(segment("b-2", 120_000, partition=3), now=1.0)

    assert tail.due(1.0, wait_seconds=10, reading_count=3) == 3


def test_a_partition_is_due_when_one_of_its_readings_has_waited_long_enough() -> None:
    """A device that sends once an hour is folded all the same, the one that waited longest first."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0, partition=5), now=0.0)
    tail.hold(segment("b-2", 0, partition=2), now=1.0)

    assert tail.due(9.9, wait_seconds=10, reading_count=99) is None
    assert tail.due(10.0, wait_seconds=10, reading_count=99) == 5
    assert tail.due(60.0, wait_seconds=10, reading_count=99) == 5


def test_the_oldest_segments_are_folded_first_and_held_until_they_are() -> None:
    """A query that comes in between still finds them."""
    tail = Tail(reading_limit=1000)
    for number in range(4):
        tail.hold(segment(f"b-{number}", 60_000 * number, HOUR_MS), now=float(number))

    oldest = tail.oldest(0, reading_count=3)

    assert ids(oldest) == ["b-0", "b-1"]
    assert (tail.reading_count, tail.oldest_since()) == (8, 0.0)
    tail.folded(oldest)
    assert (tail.reading_count, tail.oldest_since()) == (4, 2.0)
    assert ids(tail.oldest(0, reading_count=99)) == ["b-2", "b-3"]


def test_pending_readings_are_found_by_device_and_span() -> None:
    """Those of others are left out."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0, HOUR_MS), now=0.0)
    tail.hold(segment("b-2", 60_000, partition=1), now=0.0)
    tail.hold(segment("b-3", 60_000, device_id="m-2"), now=0.0)

    found = tail.of_devices(["m-1", "m-3"])

    assert {(key.device_id, key.span_start_ms): [one.offset_ms for one in some] for key, some in found.items()} == {
        ("m-1", 0): [0, 60_000],
        ("m-1", HOUR_MS): [0],
    }


def test_a_batch_is_held_once_until_its_mark_is_confirmed() -> None:
    """A search of the log that still finds it must not count it twice."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0), now=0.0)
    tail.folded(tail.oldest(0, reading_count=9))

    assert tail.hold(segment("b-1", 0), now=2.0) is True

    assert tail.reading_count == 0
    assert list(tail.batch_ids) == ["b-1"]
    tail.marked(["b-1"])
    assert list(tail.batch_ids) == []


def test_a_full_tail_takes_no_more_and_folds_the_fullest_partition_early() -> None:
    """Memory stays bounded: what does not fit waits in the log, and what is here is folded without waiting."""
    tail = Tail(reading_limit=4)
    tail.hold(segment("b-1", 0), now=0.0)
    tail.hold(segment("b-2", 0, 60_000, 120_000, partition=1), now=0.0)

    assert tail.hold(segment("b-3", HOUR_MS), now=0.0) is False
    assert tail.due(0.1, wait_seconds=10, reading_count=99) == 1


def test_a_batch_without_readings_is_not_held() -> None:
    """A writer's sign of life has nothing to fold."""
    tail = Tail(reading_limit=4)

    assert tail.hold(segment("b-1"), now=0.0) is True
    assert list(tail.batch_ids) == []
    assert tail.oldest_since() is None


def test_spans_that_have_ended_are_folded_whole() -> None:
    """An hour of which newer readings of the partition tell that it is over needs no second write."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0, 60_000), now=0.0)
    tail.hold(segment("b-2", 1_800_000), now=1.0)
    tail.hold(segment("b-3", 3_540_000, HOUR_MS), now=2.0)
    tail.hold(segment("b-4", 2 * HOUR_MS - 60_000), now=3.0)

    assert ids(tail.ripe(reading_count=99)) == ["b-1", "b-2"]


def test_whole_spans_are_taken_up_to_a_number_of_readings_and_one_at_least() -> None:
    """A round has a bound, but half a span would be written twice."""
    tail = Tail(reading_limit=1000)
    for hour in range(4):
        tail.hold(segment(f"b-{hour}a", hour * HOUR_MS, hour * HOUR_MS + 60_000), now=0.0)
        tail.hold(segment(f"b-{hour}b", hour * HOUR_MS + 120_000), now=0.0)

    assert ids(tail.ripe(reading_count=1)) == ["b-0a", "b-0b"]
    assert ids(tail.ripe(reading_count=6)) == ["b-0a", "b-0b", "b-1a", "b-1b"]
    assert ids(tail.ripe(reading_count=99)) == ["b-0a", "b-0b", "b-1a", "b-1b", "b-2a", "b-2b"]


def test_the_partition_with_the_most_ended_spans_comes_first() -> None:
    """The fuller a write, the less it costs a reading."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0, HOUR_MS - 60_000), now=0.0)
    tail.hold(segment("b-2", HOUR_MS), now=0.0)
    tail.hold(segment("b-3", 0, 60_000, 120_000, partition=1), now=0.0)
    tail.hold(segment("b-4", HOUR_MS, partition=1), now=0.0)

    assert ids(tail.ripe(reading_count=99)) == ["b-3"]


def test_after_a_refusal_what_is_new_waits_until_what_was_refused_is_here() -> None:
    """Taken out of turn, the readings of one span would be folded far apart."""
    tail = Tail(reading_limit=2)
    tail.hold(segment("b-1", 0, 60_000), now=0.0)
    assert tail.hold(segment("b-2", 120_000), now=0.0) is False
    tail.folded(tail.oldest(0, reading_count=9))

    assert tail.hold(segment("b-3", 180_000), now=1.0) is False
    tail.recover(segment("b-2", 120_000), now=2.0)
    tail.refuse_no_more()

    assert tail.hold(segment("b-3", 180_000), now=3.0) is True
    assert ids(tail.oldest(0, reading_count=9)) == ["b-2", "b-3"]


def test_readings_of_a_device_are_found_after_others_came_and_went() -> None:
    """What was folded is not found any more, what came since the last question is."""
    tail = Tail(reading_limit=1000)
    tail.hold(segment("b-1", 0), now=0.0)
    tail.of_devices(["m-1"])
    tail.hold(segment("b-2", 60_000), now=0.0)
    tail.folded(tail.oldest(0, reading_count=1))
    for number in range(9):
        tail.hold(segment(f"c-{number}", 0, device_id="m-2"), now=0.0)

    (found,) = tail.of_devices(["m-1"]).values()

    assert [one.offset_ms for one in found] == [60_000]
