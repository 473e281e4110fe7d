"""Which reading of a device is the newest."""

from billing.live import Latest, from_subdocument, newest, to_subdocument
from billing.observation import Observation, SpanKey
from billing.schema import STORAGE

KEY = SpanKey("storage", "pack-1", 7_200_000)
LATER = SpanKey("storage", "pack-1", 10_800_000)


def observation(offset_ms: int, revision: int = 0, receive_ms: int = 1, charge: int | None = 1) -> Observation:
    """A battery's reading with this charge."""
    return Observation(offset_ms, revision, 60_000, receive_ms, 2, (charge, None, -5.0, None, None, None, 3, 2))


def test_the_latest_start_is_the_newest_whatever_the_order() -> None:
    """Event time decides, not arrival."""
    found = newest([(LATER, [observation(0)]), (KEY, [observation(60_000), observation(0)])])

    assert found["pack-1"] == Latest("storage", "pack-1", 10_800_000, observation(0))


def test_of_one_start_the_reading_that_counts_is_the_newest() -> None:
    """A revision beats its original, an earlier receipt its rival, the smaller value the last tie."""
    revised = newest([(KEY, [observation(0, revision=1), observation(0)])])["pack-1"]
    earlier = newest([(KEY, [observation(0, receive_ms=5), observation(0, receive_ms=4, charge=9)])])["pack-1"]
    smaller = newest([(KEY, [observation(0, charge=2), observation(0, charge=1)])])["pack-1"]

    assert revised.observation.revision == 1
    assert earlier.observation.receive_ms == 4
    assert smaller.observation.values[0] == 1


def test_the_sub_document_begins_with_what_decides() -> None:
    """The database compares it field by field, so the order of the fields is the rule."""
    latest = Latest("storage", "pack-1", 7_200_000, observation(0))

    fields = list(to_subdocument(latest))

    assert fields[:4] == ["start_time", "revision", "receive_order", "tie"]
    assert from_subdocument(STORAGE, "pack-1", to_subdocument(latest)) == latest
