"""One reading as it is known at rest, and the rule that decides which of several for the same start counts."""

import struct
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from billing.log.reading_quality import BY_REGISTER, ReadingQuality

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


def is_measured(observation: Observation) -> bool:
    """True for what a device sent, as it sent it."""
    return observation.quality == ReadingQuality.MEASURED


def rank(observation: Observation) -> tuple[int, bool, bool, int, bytes]:
    """Sorts readings of the same start; the greatest counts.

    The higher revision wins. Within a revision an edit stands above all, for a person decided; then what follows from
    registers, the one made last above all; of what was measured the earliest receive time wins; then the smallest
    canonical bytes.
    """
    by_register = is_by_register(observation)
    receive_ms = observation.receive_ms if by_register else -observation.receive_ms
    is_edit = observation.quality == ReadingQuality.EDITED
    return (observation.revision, is_edit, by_register, receive_ms, inverted(canonical_bytes(observation)))


def same_reading(one: Observation, other: Observation) -> bool:
    """True when two readings of the same start have the same revision and value: one is a duplicate of the other.

    What follows from registers and was made again is another one, also where it has come back to what it was.
    """
    return _identity(one) == _identity(other)


def says_no_more(one: Observation, other: Observation) -> bool:
    """True when the second of two duplicates was neither received nor recorded before the first."""
    return other.receive_ms >= one.receive_ms and other.record_ms >= one.record_ms


def settle(observations: Iterable[Observation]) -> tuple[Observation, list[Observation]]:
    """Of all readings of one start, the one that counts and the superseded ones in a fixed order.

    Of duplicates one stays; two where the one that was received earlier was recorded later, for until it was recorded
    the other one was known. The result is the same whatever the order, the grouping or the repetition of the input.
    """
    distinct: dict[tuple[int, int, tuple[Value, ...], int, int], list[Observation]] = {}
    for observation in observations:
        known = distinct.setdefault(_identity(observation), [])
        if not any(says_no_more(one, observation) for one in known):
            known[:] = [one for one in known if not says_no_more(observation, one)]
            known.append(observation)
    counting, *superseded = sorted(chain.from_iterable(distinct.values()), key=rank, reverse=True)
    return counting, superseded


def _identity(observation: Observation) -> tuple[int, int, tuple[Value, ...], int, int]:
    made_ms = observation.receive_ms if is_by_register(observation) else 0
    return (observation.revision, observation.interval_ms, observation.values, observation.quality, made_ms)
