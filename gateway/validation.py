"""Whether a reading may be taken: the first rule that it breaks, or none.

Works on the message itself, for copying a reading into a value would cost more than checking it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from energy.common.v1 import error_reason_pb2 as reasons
from energy.telemetry.v1.reading_pb2 import Reading
from google.protobuf.descriptor import FieldDescriptor

from gateway.device import INTERVAL_MAXIMUM_MS, INTERVAL_MINIMUM_MS
from gateway.limits import AHEAD_MAXIMUM_MS, LIMITS, REVISION_MAXIMUM, Limit
from gateway.plain_measurement import IS_PLAIN

# What is said of a value is none.
_BESIDE_VALUES = frozenset({"energy_quality", "quality_method_code", "quality_reason_code"})

_NANOS_PER_MS = 1_000_000
_NANOS_PER_SECOND = 1_000_000_000


class Fault(NamedTuple):
    """A broken rule: its reason, the path of the field from the reading, and a sentence for people."""

    reason: reasons.ErrorReason.ValueType
    field: str
    description: str


def fault_in(reading: Reading, kind: str, receive_time_ms: int) -> Fault | None:
    """The first rule that a reading of a known device breaks; `kind` names the measurement that the device gives.

    What most readings are (whole seconds, in range) is asked first and in few steps; the rest is told apart closer.
    """
    if not IS_PLAIN[kind](getattr(reading, kind)):
        fault = _measurement_fault(reading, kind)
        if fault:
            return fault
    start_time = reading.start_time
    if start_time.nanos or not 0 < start_time.seconds * 1000 <= receive_time_ms:
        fault = _start_time_fault(reading, receive_time_ms)
        if fault:
            return fault
    interval = reading.interval
    if interval.nanos or not 0 < interval.seconds <= _INTERVAL_MAXIMUM_SECONDS:
        fault = _interval_fault(reading)
        if fault:
            return fault
    if not 0 <= reading.revision <= REVISION_MAXIMUM:
        return Fault(reasons.ERROR_REASON_OUT_OF_RANGE, "revision", f"must be 0..{REVISION_MAXIMUM}")
    return None


def _measurement_fault(reading: Reading, kind: str) -> Fault | None:
    given = reading.WhichOneof("measurement")
    if given is None:
        return Fault(reasons.ERROR_REASON_FIELD_REQUIRED, "measurement", "a measurement is required")
    if given != kind:
        return Fault(reasons.ERROR_REASON_KIND_MISMATCH, given, f"the device is registered as a {kind}")
    values = getattr(reading, kind).ListFields()
    if not any(field.name not in _BESIDE_VALUES for field, _ in values):
        return Fault(reasons.ERROR_REASON_FIELD_REQUIRED, kind, "must carry at least one value")
    for field, value in values:
        limit = _LIMIT_OF[field]
        # False for what is not a number, too.
        if not limit.low <= value <= limit.high:
            return Fault(reasons.ERROR_REASON_OUT_OF_RANGE, f"{kind}.{limit.field}", limit.description)
    return None


def _start_time_fault(reading: Reading, receive_time_ms: int) -> Fault | None:
    if not reading.HasField("start_time"):
        return Fault(reasons.ERROR_REASON_FIELD_REQUIRED, "start_time", "is required")
    seconds, nanos = reading.start_time.seconds, reading.start_time.nanos
    if nanos % _NANOS_PER_MS or not 0 <= nanos < _NANOS_PER_SECOND:
        return Fault(reasons.ERROR_REASON_INVALID_FORMAT, "start_time", "must be whole milliseconds")
    if seconds < 0:
        return Fault(reasons.ERROR_REASON_OUT_OF_RANGE, "start_time", "must not be before 1970")
    if seconds * 1000 + nanos // _NANOS_PER_MS > receive_time_ms + AHEAD_MAXIMUM_MS:
        description = f"must be at most {AHEAD_MAXIMUM_MS // 60_000} minutes ahead of the gateway's clock"
        return Fault(reasons.ERROR_REASON_TOO_FAR_AHEAD, "start_time", description)
    return None


_INTERVAL_MAXIMUM_SECONDS = INTERVAL_MAXIMUM_MS // 1000


def _interval_fault(reading: Reading) -> Fault | None:
    if not reading.HasField("interval"):
        return None
    seconds, nanos = reading.interval.seconds, reading.interval.nanos
    if nanos % _NANOS_PER_MS or abs(nanos) >= _NANOS_PER_SECOND or seconds * nanos < 0:
        return Fault(reasons.ERROR_REASON_INVALID_FORMAT, "interval", "must be a duration in whole milliseconds")
    if not INTERVAL_MINIMUM_MS <= seconds * 1000 + nanos // _NANOS_PER_MS <= INTERVAL_MAXIMUM_MS:
        return Fault(reasons.ERROR_REASON_OUT_OF_RANGE, "interval", "must be 1 millisecond to 31 days")
    return None


def _limits_of_fields() -> dict[str, dict[str, Limit]]:
    of_fields = {}
    for kind, limits in LIMITS.items():
        limit_by_name = {limit.field: limit for limit in limits}
        of_fields[kind] = {
            field.name: _state_limit(field) if field.enum_type else limit_by_name[field.name]
            for field in _fields_of(kind)
        }
    return of_fields


def _fields_of(kind: str) -> Sequence[FieldDescriptor]:
    measurement = Reading.DESCRIPTOR.fields_by_name[kind].message_type
    return measurement.fields if measurement else ()


def _state_limit(field: FieldDescriptor) -> Limit:
    numbers = [value.number for value in field.enum_type.values] if field.enum_type else []
    return Limit(field.name, min(numbers), max(numbers), f"of {field.name}")


LIMIT_OF_FIELD = _limits_of_fields()
"""The range of every field that a measurement may carry, by kind and name."""

_LIMIT_OF = {field: limits[field.name] for kind, limits in LIMIT_OF_FIELD.items() for field in _fields_of(kind)}
