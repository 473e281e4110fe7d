"""Which readings of a write to the log are late for their quarter-hour, and how that is told."""

from billing.log.kind_columns import LoggedReading
from billing.log.late_reading import (
    DEVICES_LISTED_MAXIMUM,
    LATE_AFTER_MS,
    PAIRS_MAXIMUM,
    QUARTER_MS,
    LateQuarter,
    by_quarter,
    late_readings,
)
from billing.log.schema import KINDS
from billing.log.segment import Segment

NOON_MS = 1_767_268_800_000
MINUTE_MS = 60_000
NOTHING = {name: (None,) * len(kind.columns) for name, kind in KINDS.items()}


def segment(record_ms: int, *readings: tuple[str, int], kind: str = "meter") -> Segment:
    """A segment of readings, each a device and a start."""
    logged = [
        LoggedReading(kind, device_id, at_ms, MINUTE_MS, 0, at_ms, NOTHING[kind]) for device_id, at_ms in readings
    ]
    return Segment.of("b-1", 0, "w", 1, record_ms - 1, record_ms, logged)


def told(*segments: Segment) -> set[LateQuarter]:
    """What is told of one write."""
    late = late_readings(segments)
    return set() if late is None else set(by_quarter([late]))


def test_a_reading_is_late_when_its_quarter_hour_may_have_been_summed_up() -> None:
    """A minute after its end, and not a moment before."""
    last = ("m-1", NOON_MS - MINUTE_MS)
    closed_ms = NOON_MS + LATE_AFTER_MS

    assert told(segment(closed_ms - 1, last)) == set()
    assert told(segment(closed_ms, last)) == {LateQuarter(NOON_MS - QUARTER_MS, frozenset({"m-1"}), closed_ms)}


def test_what_comes_in_time_and_what_is_of_no_meter_is_not_told() -> None:
    """Nearly every write tells nothing."""
    assert told(segment(NOON_MS, ("m-1", NOON_MS - MINUTE_MS))) == set()
    assert late_readings([segment(NOON_MS, ("v-1", 0), kind="vehicle")]) is None


def test_each_quarter_hour_is_told_once_with_its_own_devices() -> None:
    """However many readings of however many segments fall into it."""
    before_ms = NOON_MS - 4 * QUARTER_MS
    first = segment(NOON_MS, ("m-1", before_ms), ("m-1", before_ms + MINUTE_MS), ("m-2", before_ms + QUARTER_MS))
    second = segment(NOON_MS + 5, ("m-3", before_ms))

    assert told(first, second) == {
        LateQuarter(before_ms, frozenset({"m-1", "m-3"}), NOON_MS + 5),
        LateQuarter(before_ms + QUARTER_MS, frozenset({"m-2"}), NOON_MS + 5),
    }


def test_of_too_many_at_once_only_the_quarter_hours_are_told() -> None:
    """So that what is noted stays small, whatever comes."""
    start_ms = NOON_MS - 4 * QUARTER_MS
    many = [(f"m-{number}", start_ms) for number in range(PAIRS_MAXIMUM + 1)]
    several = many[: DEVICES_LISTED_MAXIMUM + 1]

    assert told(segment(NOON_MS, *many)) == {LateQuarter(start_ms, None, NOON_MS)}
    assert told(segment(NOON_MS, *several)) == {LateQuarter(start_ms, None, NOON_MS)}
    assert len(told(segment(NOON_MS, *several[:-1]))) == 1


def test_what_several_writes_tell_of_a_quarter_hour_is_joined() -> None:
    """The newest instant counts; where one may be of any device, all are."""
    one = LateQuarter(NOON_MS, frozenset({"m-1"}), 5)

    assert one.joined(LateQuarter(NOON_MS, frozenset({"m-2"}), 3)) == LateQuarter(NOON_MS, frozenset({"m-1", "m-2"}), 5)
    assert one.joined(LateQuarter(NOON_MS, None, 7)) == LateQuarter(NOON_MS, None, 7)
