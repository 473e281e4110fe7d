"""A delivered batch as it is logged: immutable, its readings as columns by kind."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from billing.log.kind_columns import Gathered, KindColumns, LoggedReading, gather
from billing.log.observation import Observation, SpanKey
from billing.log.period import ALWAYS, Period


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One batch on record. `record_ms` is when it was written, the same for each of its readings.

    `traceparent` is that of the span in which it was written; empty if it is not traced.
    """

    batch_id: str
    partition: int
    writer: str
    sequence: int
    create_ms: int
    record_ms: int
    kinds: tuple[KindColumns, ...]
    traceparent: str = ""

    @classmethod
    def of(  # noqa: PLR0917 - the fields of a segment in their order
        cls,
        batch_id: str,
        partition: int,
        writer: str,
        sequence: int,
        create_ms: int,
        record_ms: int,
        readings: Sequence[LoggedReading],
    ) -> Self:
        """A segment of readings as objects; those of one kind keep their order."""
        by_kind: dict[str, list[LoggedReading]] = {}
        for reading in readings:
            by_kind.setdefault(reading.kind, []).append(reading)
        kinds = tuple(KindColumns.of(some) for some in by_kind.values())
        return cls(batch_id, partition, writer, sequence, create_ms, record_ms, kinds)

    @property
    def reading_count(self) -> int:
        """How many readings there are."""
        return sum(columns.reading_count for columns in self.kinds)

    @property
    def period(self) -> Period:
        """The time in which its readings start; it has at least one."""
        return Period(
            min(int(columns.start_ms.min()) for columns in self.kinds),
            max(int(columns.start_ms.max()) for columns in self.kinds) + 1,
        )

    @property
    def first_receive_ms(self) -> int | None:
        """When the gateway received the reading that has waited longest."""
        return min((int(columns.receive_ms.min()) for columns in self.kinds), default=None)

    def readings(self) -> list[LoggedReading]:
        """Every reading as an object, kind by kind."""
        return [reading for columns in self.kinds for reading in columns.readings()]


def gather_by_kind(segments: Iterable[Segment]) -> list[Gathered]:
    """The readings of some segments, kind by kind."""
    parts: dict[str, list[tuple[KindColumns, int]]] = {}
    for segment in segments:
        for columns in segment.kinds:
            parts.setdefault(columns.kind.name, []).append((columns, segment.record_ms))
    return [gather(some) for some in parts.values()]


def of_devices(
    segments: Iterable[Segment], device_ids: Collection[str], period: Period = ALWAYS
) -> dict[SpanKey, list[Observation]]:
    """The readings of some devices in some segments, by span; those that start in a period."""
    wanted = frozenset(device_ids)
    found: dict[SpanKey, list[Observation]] = {}
    for segment in segments:
        for columns in segment.kinds:
            if wanted.isdisjoint(columns.device_ids):
                continue
            places = [place for place, device_id in enumerate(columns.device_ids) if device_id in wanted]
            is_inside = (columns.start_ms >= period.start_ms) & (columns.start_ms < period.end_ms)
            rows = np.flatnonzero(is_inside & np.isin(columns.device_index, places))
            for reading in columns.readings(rows):
                offset_ms = reading.start_ms % columns.kind.span_ms
                key = SpanKey(reading.kind, reading.device_id, reading.start_ms - offset_ms)
                observation = Observation(
                    offset_ms,
                    reading.revision,
                    reading.interval_ms,
                    reading.receive_ms,
                    segment.record_ms,
                    reading.values,
                    reading.quality,
                )
                found.setdefault(key, []).append(observation)
    return found
