"""A delivered batch as it is logged: immutable, its readings grouped by the span they will be folded into."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from billing.observation import Observation, SpanKey, Value
from billing.schema import KINDS


class LoggedReading(NamedTuple):
    """A reading on its way into a segment: instants in epoch milliseconds, values in the order of its kind."""

    kind: str
    device_id: str
    start_ms: int
    interval_ms: int
    revision: int
    receive_ms: int
    values: tuple[Value, ...]


@dataclass(slots=True)
class Segment:
    """One batch on record. `record_ms` is when it was written, the same for each of its readings."""

    batch_id: str
    partition: int
    writer: str
    sequence: int
    create_ms: int
    record_ms: int
    readings: list[LoggedReading]
    spans: dict[SpanKey, list[Observation]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spans = group_by_span(self.readings, self.record_ms)


def group_by_span(readings: Iterable[LoggedReading], record_ms: int) -> dict[SpanKey, list[Observation]]:
    """The readings of a segment by the span their start lies in, as observations recorded at `record_ms`."""
    spans: dict[SpanKey, list[Observation]] = {}
    for kind, device_id, start_ms, interval_ms, revision, receive_ms, values in readings:
        offset_ms = start_ms % KINDS[kind].span_ms
        key = SpanKey(kind, device_id, start_ms - offset_ms)
        observation = Observation(offset_ms, revision, interval_ms, receive_ms, record_ms, values)
        known = spans.get(key)
        if known is None:
            spans[key] = [observation]
        else:
            known.append(observation)
    return spans
