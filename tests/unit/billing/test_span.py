"""Which of several readings of one start counts, whatever the order in which they come."""

import random

from hypothesis import given
from hypothesis import strategies as st

from billing.cold.span import Span
from billing.cold.span_document import from_document, to_document
from billing.log.observation import Observation, SpanKey, settle
from billing.log.reading_quality import ESTIMATE_REVISION_FIRST, ReadingQuality
from billing.log.schema import VEHICLE

KEY = SpanKey("vehicle", "vehicle-1", 1_767_225_600_000)


def observation(  # noqa: PLR0917 - each is one thing a test varies
    offset_ms: int = 0,
    revision: int = 0,
    receive_ms: int = 10,
    energy: int | None = 5,
    record_ms: int = 20,
    quality: int = 0,
) -> Observation:
    """A vehicle's reading with this energy."""
    return Observation(offset_ms, revision, 60_000, receive_ms, record_ms, (energy, 7.5, None, 21.5, 3), quality)


observations = st.builds(
    observation,
    offset_ms=st.sampled_from([0, 60_000, 120_000]),
    revision=st.sampled_from([ESTIMATE_REVISION_FIRST, ESTIMATE_REVISION_FIRST + 1, 0, 1, 2]),
    receive_ms=st.integers(0, 3),
    energy=st.one_of(st.none(), st.integers(0, 2)),
    record_ms=st.integers(0, 3),
    quality=st.integers(0, 4),
)


def test_the_higher_revision_counts_even_when_it_came_first() -> None:
    """A lower revision that arrives later is history, not a correction."""
    span = Span()

    span.fold([observation(revision=1, energy=9), observation(revision=0, energy=5)])

    assert [found.values[0] for found in span.in_order()] == [9]
    assert [found.values[0] for found in span.superseded_in_order()] == [5]


def test_an_estimate_gives_way_to_a_reading_even_when_it_comes_later() -> None:
    """What was measured counts, and the estimate stays on record, whichever is known first."""
    estimate = observation(revision=ESTIMATE_REVISION_FIRST, energy=9, quality=ReadingQuality.INTERPOLATED)
    for some in ([observation(), estimate], [estimate, observation()]):
        span = Span()
        for one in some:
            span.fold([one])

        assert span.in_order() == [observation()]
        assert span.superseded_in_order() == [estimate]


def test_a_duplicate_that_came_later_adds_nothing() -> None:
    """The same revision and value again is one reading, received and recorded when it was first."""
    span = Span()

    span.fold([observation(receive_ms=10, record_ms=20), observation(receive_ms=11, record_ms=25)])

    assert span.in_order() == [observation(receive_ms=10, record_ms=20)]
    assert span.superseded_in_order() == []


def test_a_duplicate_that_was_received_earlier_counts_and_the_one_recorded_first_stays() -> None:
    """Until the earlier one was recorded, the other one was what was known."""
    span = Span()

    span.fold([observation(receive_ms=10, record_ms=20), observation(receive_ms=7, record_ms=25)])

    assert span.in_order() == [observation(receive_ms=7, record_ms=25)]
    assert span.superseded_in_order() == [observation(receive_ms=10, record_ms=20)]
    assert span.as_of(24).in_order() == [observation(receive_ms=10, record_ms=20)]


def test_what_was_known_at_a_moment_stays_when_the_loser_of_a_conflict_comes_again() -> None:
    """Its earlier receipt makes it count from when that was recorded on, and not before."""
    span = Span()
    span.fold([observation(energy=1, receive_ms=5, record_ms=10), observation(energy=2, receive_ms=7, record_ms=11)])
    before = span.as_of(12)

    span.fold([observation(energy=2, receive_ms=3, record_ms=20)])

    assert span.as_of(12) == before
    assert [one.values[0] for one in before.in_order()] == [1]
    assert [one.values[0] for one in span.as_of(20).in_order()] == [2]


def test_an_edit_counts_over_a_reading_of_its_revision_whichever_came_first() -> None:
    """A person decided; that the device says otherwise is a conflict until somebody decides again."""
    edit = observation(energy=9, receive_ms=50, quality=ReadingQuality.EDITED)
    for some in ([observation(receive_ms=10), edit], [edit, observation(receive_ms=90)]):
        span = Span()
        for one in some:
            span.fold([one])

        assert span.in_order() == [edit]
        assert span.conflicts() == {0}


def test_a_conflict_is_two_values_of_one_revision_until_a_correction_settles_it() -> None:
    """A duplicate, an estimate and a correction of the device's own are none."""
    span = Span()
    span.fold([observation(), observation(receive_ms=99), observation(energy=8, revision=-5, quality=1)])
    assert span.conflicts() == set()

    span.fold([observation(energy=6)])
    assert span.conflicts() == {0}

    span.fold([observation(energy=7, revision=1)])
    assert span.conflicts() == set()


def test_a_devices_correction_of_an_edited_start_is_a_conflict() -> None:
    """What a person has put in does not count any more, and somebody should know."""
    span = Span()

    span.fold([observation(energy=9, quality=ReadingQuality.EDITED), observation(energy=7, revision=1)])

    assert [one.values[0] for one in span.in_order()] == [7]
    assert span.conflicts() == {0}


def test_of_a_conflict_the_earliest_received_counts() -> None:
    """Two values of one revision: the first to reach a gateway wins, the other stays on record."""
    span = Span()

    span.fold([observation(receive_ms=11, energy=1), observation(receive_ms=10, energy=2)])

    assert span.in_order() == [observation(receive_ms=10, energy=2)]
    assert span.superseded_in_order() == [observation(receive_ms=11, energy=1)]


def test_of_a_conflict_received_at_once_the_smallest_bytes_count() -> None:
    """Where even the receive times are equal the value itself decides."""
    counting, superseded = settle([observation(energy=2), observation(energy=1)])

    assert counting.values[0] == 1
    assert [found.values[0] for found in superseded] == [2]


def test_an_earlier_duplicate_of_the_loser_turns_a_conflict_round() -> None:
    """The winner follows from all that is known, not from who won before."""
    span = Span()
    span.fold([observation(receive_ms=10, energy=1), observation(receive_ms=12, energy=2)])

    span.fold([observation(receive_ms=5, energy=2)])

    assert span.in_order() == [observation(receive_ms=5, energy=2)]


@given(st.lists(observations, max_size=12), st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_grouping_and_repetition_change_nothing(
    some: list[Observation], shuffler: random.Random, group_size: int
) -> None:
    """Any order, any batches and any number of repeats of the same readings give the same span."""
    once = Span()
    once.fold(some)
    repeated = some * 2
    shuffler.shuffle(repeated)
    other = Span()

    for first in range(0, len(repeated), group_size):
        other.fold(repeated[first : first + group_size])

    assert other == once


@given(st.lists(observations, max_size=12))
def test_folding_what_is_known_reports_no_change(some: list[Observation]) -> None:
    """A redelivery is recognised, so that it costs no write."""
    span = Span()
    span.fold(some)

    assert span.fold(some) is False


@given(st.lists(observations, min_size=1, max_size=12))
def test_a_document_gives_its_span_back(some: list[Observation]) -> None:
    """Nothing is lost on the way into the cold document and out of it."""
    span = Span()
    span.fold(some)

    assert from_document(VEHICLE, to_document(KEY, span, 1)) == (KEY, span)


@given(st.lists(observations, max_size=12), st.integers(-1, 3))
def test_as_of_a_moment_it_is_what_the_readings_recorded_by_then_make(some: list[Observation], as_of_ms: int) -> None:
    """Duplicates and conflicts among them, whenever each was received."""
    whole, then = Span(), Span()
    whole.fold(some)

    then.fold(one for one in some if one.record_ms <= as_of_ms)

    assert whole.as_of(as_of_ms) == then


@given(st.lists(observations, max_size=20), st.randoms(use_true_random=False), st.integers(1, 4))
def test_what_has_room_in_a_span_follows_from_all_readings_and_not_from_their_order(
    some: list[Observation], shuffler: random.Random, group_size: int
) -> None:
    """With room for two superseded ones, and of those that find none not one is lost."""
    once = Span(superseded_maximum=2)
    once.fold(some)
    repeated = some * 2
    shuffler.shuffle(repeated)
    other = Span(superseded_maximum=2)

    for first in range(0, len(repeated), group_size):
        other.fold(repeated[first : first + group_size])

    assert other == once
    assert all(len(superseded) <= 2 + 2 for superseded in other.superseded.values())
    unbounded = Span()
    unbounded.fold(some)
    assert other.in_order() == unbounded.in_order()
    assert other.measured_in_order() == unbounded.measured_in_order()
    for offset_ms, superseded in unbounded.superseded.items():
        rest = {*other.superseded.get(offset_ms, ()), *other.displaced.get(offset_ms, ())}
        assert {*superseded} <= rest


@given(st.lists(observations, max_size=20), st.integers(-1, 3))
def test_without_the_displaced_a_moment_is_right_or_known_to_lack_them(some: list[Observation], as_of_ms: int) -> None:
    """With them it is right in any case."""
    whole, unbounded = Span(superseded_maximum=2), Span()
    whole.fold(some)
    unbounded.fold(some)
    expected = unbounded.as_of(as_of_ms)

    assert whole.as_of(as_of_ms) == expected
    bare = Span(whole.counting, whole.superseded, superseded_maximum=2)
    found, lacking = bare.as_of(as_of_ms), bare.lacks_at(as_of_ms)
    assert {at: one for at, one in found.counting.items() if at not in lacking} == {
        at: one for at, one in expected.counting.items() if at not in lacking
    }
