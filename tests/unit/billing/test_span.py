"""Which of several readings of one start counts, whatever the order in which they come."""

import random

from hypothesis import given
from hypothesis import strategies as st

from billing.observation import Observation, SpanKey, settle
from billing.reading_quality import ESTIMATE_REVISION_FIRST, ReadingQuality
from billing.schema import VEHICLE
from billing.span import Span
from billing.span_document import from_document, to_document

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


def test_a_duplicate_keeps_the_earliest_times_and_adds_nothing() -> None:
    """The same revision and value again is one reading, received when it was first received."""
    span = Span()

    span.fold([observation(receive_ms=10, record_ms=20), observation(receive_ms=7, record_ms=25)])

    assert span.in_order() == [observation(receive_ms=7, record_ms=20)]
    assert span.superseded_in_order() == []


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
    """Unless duplicates differ in their times, for those are one reading with the earliest of each."""
    alike = {(one.offset_ms, one.revision, one.values): one for one in reversed(some)}
    some = [one._replace(receive_ms=alike[one.offset_ms, one.revision, one.values].receive_ms) for one in some]
    whole, then = Span(), Span()
    whole.fold(some)

    then.fold(one for one in some if one.record_ms <= as_of_ms)

    assert whole.as_of(as_of_ms) == then
