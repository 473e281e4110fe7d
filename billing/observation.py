"""One reading as it is known at rest, and the rule that decides which of several for the same start counts."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from billing.reading_quality import BY_REGISTER

Value = int | float | None
_ABSENT = b"\x00" * 9
_PRESENT = b"\x01"
_INVERTED = bytes(range(255, -1, -1))


class SpanKey(NamedTuple):
    """The history document a reading belongs to: its kind, its device and the start of the span, epoch milliseconds."""

    kind: str
    device_id: str
    span_start_ms: int


class Observation(NamedTuple):
    """A reading of one span: start as an offset from the span's start, values in the canonical order of its kind.

    `receive_ms` is when the gateway received it, `record_ms` when it was written to the log, both epoch milliseconds.
    `quality` is a `ReadingQuality`, 0 for what was measured.
    """

    offset_ms: int
    revision: int
    interval_ms: int
    receive_ms: int
    record_ms: int
    values: tuple[Value, ...]
    quality: int = 0


def canonical_bytes(observation: Observation) -> bytes:
    """The value of a reading as bytes of a fixed length per kind: what `smallest canonical bytes` compares.

    The interval as eight bytes, big-endian, then each value as a byte that says whether it is present and eight bytes.
    What was not measured has its quality after that, as one more byte.
    """
    parts = [struct.pack(">q", observation.interval_ms)]
    for value in observation.values:
        if value is None:
            parts.append(_ABSENT)
        elif isinstance(value, int):
            parts.append(_PRESENT + struct.pack(">q", value))
        else:
            parts.append(_PRESENT + struct.pack(">d", value))
    if observation.quality:
        parts.append(bytes([observation.quality]))
    return b"".join(parts)


def inverted(canonical: bytes) -> bytes:
    """The canonical bytes with every bit turned, so that the smallest sort as the greatest."""
    return canonical.translate(_INVERTED)


def is_by_register(observation: Observation) -> bool:
    """True for a reading whose energy follows from registers; its receive time counts how often it was made again."""
    return observation.quality in BY_REGISTER


def rank(observation: Observation) -> tuple[int, bool, int, bytes]:
    """Sorts readings of the same start; the greatest counts.

    The higher revision wins. Within a revision what follows from registers stands above what was measured, the one made
    last above all; of what was measured the earliest receive time wins; then the smallest canonical bytes.
    """
    by_register = is_by_register(observation)
    receive_ms = observation.receive_ms if by_register else -observation.receive_ms
    return (observation.revision, by_register, receive_ms, inverted(canonical_bytes(observation)))


def same_reading(one: Observation, other: Observation) -> bool:
    """True when two readings of the same start have the same revision and value: one is a duplicate of the other.

    What follows from registers and was made again is another one, also where it has come back to what it was.
    """
    return (
        one.revision == other.revision
        and one.interval_ms == other.interval_ms
        and one.values == other.values
        and one.quality == other.quality
        and (not is_by_register(one) or one.receive_ms == other.receive_ms)
    )


def earliest(one: Observation, other: Observation) -> Observation:
    """Of two duplicates, the reading with the earliest receive time and the earliest record time of both."""
    return one._replace(receive_ms=min(one.receive_ms, other.receive_ms), record_ms=min(one.record_ms, other.record_ms))


def settle(observations: Iterable[Observation]) -> tuple[Observation, list[Observation]]:
    """Of all readings of one start, the one that counts and the superseded ones in a fixed order.

    The result is the same whatever the order, the grouping or the repetition of the input.
    """
    distinct: dict[tuple[int, int, tuple[Value, ...], int, int], Observation] = {}
    for observation in observations:
        made_ms = observation.receive_ms if is_by_register(observation) else 0
        identity = (observation.revision, observation.interval_ms, observation.values, observation.quality, made_ms)
        known = distinct.get(identity)
        distinct[identity] = observation if known is None else earliest(known, observation)
    counting, *superseded = sorted(distinct.values(), key=rank, reverse=True)
    return counting, superseded
