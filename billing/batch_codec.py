"""Turns a ReadingBatch from the broker into the segment that is logged; here energy becomes whole milliwatt-hours."""

from collections.abc import Callable, Iterator
from typing import Any

from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from google.protobuf.message import DecodeError

from billing.observation import Value
from billing.schema import KINDS, Kind
from billing.segment import LoggedReading, Segment
from common.energy import milliwatt_hours
from common.instants import duration_to_ms, to_ms


class UndecodableBatch(Exception):
    """Unexpected: a message from the broker is no ReadingBatch, or holds what the gateway would never let through."""


def decode_batch(body: bytes, record_ms: int) -> Segment:
    """The segment of a serialised ReadingBatch, recorded at `record_ms`.

    Raises:
        UndecodableBatch: the bytes are no ReadingBatch, it has no id, or a reading in it has no valid form.
    """
    try:
        batch = ReadingBatch.FromString(body)
        if not batch.batch_id:
            raise UndecodableBatch("batch_id is empty")
        return Segment(
            batch_id=batch.batch_id,
            partition=batch.partition,
            writer=batch.writer,
            sequence=batch.sequence,
            create_ms=to_ms(batch.create_time),
            record_ms=record_ms,
            readings=[reading for part in batch.parts for reading in _readings(part)],
        )
    except (DecodeError, ValueError) as problem:
        raise UndecodableBatch(str(problem)) from problem


def _readings(part: Part) -> Iterator[LoggedReading]:
    receive_ms = to_ms(part.receive_time)
    for reading in part.readings:
        name = reading.WhichOneof("measurement")
        if name is None:
            raise UndecodableBatch("a reading has no measurement")
        yield LoggedReading(
            name,
            reading.device_id,
            to_ms(reading.start_time),
            duration_to_ms(reading.interval),
            reading.revision,
            receive_ms,
            _EXTRACT[name](getattr(reading, name)),
        )


def _extractor(kind: Kind) -> Callable[[Any], tuple[Value, ...]]:
    energies = frozenset(column.field for column in kind.columns if column.is_energy)
    places = {column.field: place for place, column in enumerate(kind.columns)}
    empty: list[Value] = [None] * len(kind.columns)

    def extract(measurement: Any) -> tuple[Value, ...]:
        values = empty.copy()
        # ListFields visits what is present only; an unspecified state is absent by its nature.
        for field, value in measurement.ListFields():
            name = field.name
            if name in energies:
                values[places[name]] = milliwatt_hours(value)
            else:
                # Adding zero turns -0.0 into 0.0, so that equal values have equal bytes.
                values[places[name]] = value + 0
        return tuple(values)

    return extract


_EXTRACT = {kind.name: _extractor(kind) for kind in KINDS.values()}
