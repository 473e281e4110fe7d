"""Many spans at once become the documents that each of them would become alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.cold.span import Span
from billing.cold.span_columns import fresh_documents
from billing.cold.span_document import to_document
from billing.cold.span_folder import span_rows
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation, SpanKey
from billing.log.schema import KINDS
from billing.log.segment import Segment, gather_by_kind, of_devices

HOUR_MS = 3_600_000
_numbers = st.none() | st.floats(-1e6, 1e6)
_integers = st.none() | st.integers(0, 2**45)


def _values(kind: str) -> st.SearchStrategy[tuple[float | int | None, ...]]:
    return st.tuples(*[_integers if column.type == "integer" else _numbers for column in KINDS[kind].columns])


@st.composite
def readings(draw: st.DrawFn) -> LoggedReading:
    """A reading of a few devices in a few hours, now and then at the same start as another."""
    kind = draw(st.sampled_from(["meter", "meter", "vehicle", "storage"]))
    return LoggedReading(
        kind,
        f"{kind}-{draw(st.integers(1, 3))}",
        draw(st.integers(0, 3)) * HOUR_MS + draw(st.integers(0, 60)) * 60_000,
        draw(st.sampled_from([60_000, 900_000, 1])),
        draw(st.sampled_from([0, 0, 0, 1])),
        draw(st.integers(1, 5)),
        draw(_values(kind)),
        draw(st.sampled_from([0, 0, 0, 1, 2, 3])),
    )


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """A few segments, each with a record time of its own."""
    return [
        Segment.of(f"b-{number}", 0, "w", number + 1, 0, 1_000 + number, draw(st.lists(readings(), max_size=30)))
        for number in range(draw(st.integers(1, 4)))
    ]


def pending_of(some: list[Segment]) -> dict[SpanKey, list[Observation]]:
    """The readings by span, as objects."""
    return of_devices(some, {reading.device_id for segment in some for reading in segment.readings()})


@settings(max_examples=150, deadline=None)
@given(segments())
def test_the_documents_of_all_spans_are_those_of_each(some: list[Segment]) -> None:
    """Columns, roll-ups of quarters and of the whole, and what is left out: the same to the last bit."""
    pending = pending_of(some)
    found: dict[SpanKey, object] = {}
    for gathered in gather_by_kind(some):
        repeats = gathered.repeats()
        for key, rows in span_rows(gathered):
            assert sorted(map(repr, gathered.observations(rows))) == sorted(map(repr, pending[key]))
            if not repeats[rows].any():
                found |= dict(fresh_documents(gathered, rows))

    expected = {}
    for key, observations in pending.items():
        if len({one.offset_ms for one in observations}) == len(observations):
            span = Span()
            span.fold(observations)
            expected[key] = to_document(key, span, 1)
    assert found == expected


@settings(max_examples=100, deadline=None)
@given(segments())
def test_documents_made_together_are_those_made_apart(some: list[Segment]) -> None:
    """A neighbour in the same call leaves no trace."""
    for gathered in gather_by_kind(some):
        repeats = gathered.repeats()
        spans = [rows for _, rows in span_rows(gathered) if not repeats[rows].any()]
        if spans:
            together = list(fresh_documents(gathered, np.concatenate(spans)))
            assert together == [pair for rows in spans for pair in fresh_documents(gathered, rows)]
