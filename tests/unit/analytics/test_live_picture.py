"""The live picture only ever moves forward in (start_time, revision), whatever the order of arrival."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.stream.live_picture import LivePicture
from analytics.stream.observation import Observation

MINUTE_MS = 60_000


def observation(
    device_id: str = "meter-1",
    *,
    start_ms: int = 0,
    revision: int = 0,
    receive_ms: int = 0,
    state: str = "REPORTING",
    power_kw: float | None = None,
) -> Observation:
    """An observation of a meter, one minute long, without energy."""
    return Observation(device_id, "meter", start_ms, start_ms + MINUTE_MS, revision, receive_ms, state, power_kw, 0, 0)


# The same examples in every run; no limit on time, for the machine may be busy.
repeatable = settings(derandomize=True, deadline=None)

# Few values of each, so that equal starts, revisions and receive times are common.
observations = st.builds(
    observation,
    st.sampled_from(["meter-1", "meter-2"]),
    start_ms=st.sampled_from([0, MINUTE_MS, 2 * MINUTE_MS]),
    revision=st.integers(0, 2),
    receive_ms=st.integers(0, 3),
    state=st.sampled_from(["IDLE", "CHARGING", "UNKNOWN"]),
    power_kw=st.sampled_from([None, 0.0, -1.5, 7.0]),
)


def content(picture: LivePicture) -> dict[str, tuple[object, ...]]:
    """Everything the picture knows, to compare."""
    content: dict[str, tuple[object, ...]] = {}
    for device_id in ("meter-1", "meter-2"):
        live = picture.find(device_id)
        if live is not None:
            content[device_id] = (
                live.start_ms,
                live.revision,
                live.receive_ms,
                live.last_receive_ms,
                live.state,
                live.power_kw,
            )
    return content


def picture_of(*seen: Observation) -> LivePicture:
    """The picture after these observations, one after the other."""
    picture = LivePicture()
    picture.apply(seen)
    return picture


@repeatable
@given(st.lists(observations, max_size=12).flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_the_order_of_arrival_does_not_matter(pair: tuple[list[Observation], list[Observation]]) -> None:
    """The same observations in another order give the same picture."""
    one_order, another_order = pair

    one, another = picture_of(*one_order), picture_of(*another_order)

    assert content(one) == content(another)


@repeatable
@given(st.lists(observations, max_size=12))
def test_arriving_again_changes_nothing(seen: list[Observation]) -> None:
    """Every observation twice, the second time in reverse, gives the picture of once."""
    once = picture_of(*seen)

    twice = picture_of(*seen, *reversed(seen))

    assert content(twice) == content(once)


@repeatable
@given(st.lists(observations, min_size=1, max_size=12))
def test_the_newest_start_and_of_that_the_highest_revision_is_shown(seen: list[Observation]) -> None:
    """What is shown of a device is the maximum of (start, revision) over all that came."""
    picture = picture_of(*seen)

    for device_id in {one.device_id for one in seen}:
        live = picture.find(device_id)
        expected = max((one.start_ms, one.revision) for one in seen if one.device_id == device_id)
        assert live is not None
        assert (live.start_ms, live.revision) == expected


@repeatable
@given(st.lists(observations, min_size=1, max_size=12))
def test_the_last_receive_time_is_the_latest_of_all(seen: list[Observation]) -> None:
    """A late reading of an old interval still shows that the device is there."""
    picture = picture_of(*seen)

    for device_id in {one.device_id for one in seen}:
        live = picture.find(device_id)
        assert live is not None
        assert live.last_receive_ms == max(one.receive_ms for one in seen if one.device_id == device_id)


def test_a_correction_replaces_the_reading_it_corrects() -> None:
    """A higher revision of the same start counts, though its power is lower."""
    picture = picture_of(observation(power_kw=5.0), observation(revision=1, power_kw=4.0))

    live = picture.find("meter-1")

    assert live is not None
    assert live.power_kw == 4.0


def test_of_a_conflict_the_earliest_received_counts() -> None:
    """Two values for one start and revision: the one the gateway received first is shown."""
    picture = picture_of(observation(receive_ms=20, power_kw=1.0), observation(receive_ms=10, power_kw=9.0))

    live = picture.find("meter-1")

    assert live is not None
    assert (live.power_kw, live.receive_ms, live.last_receive_ms) == (9.0, 10, 20)


def test_a_device_that_never_sent_is_not_in_the_picture() -> None:
    """Nothing is made up about a device."""
    picture = picture_of(observation("meter-1"))

    assert picture.find("meter-2") is None
