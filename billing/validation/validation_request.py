"""Checks what people ask of validation and editing: every broken rule is named with its field."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from energy.billing.v1.validation_service_pb2 import EditReadingsRequest, ReadingEdit
from energy.telemetry.v1.reading_pb2 import Reading

from billing.log.batch_columns import logged_reading
from billing.log.kind_columns import LoggedReading
from billing.log.schema import KINDS, Kind
from billing.validation.reading_editing import WantedReading
from common.errors import FieldViolation, InvalidArgument
from common.instants import duration_from_ms

EDITS_MAXIMUM = 1000
WINDOW_MAXIMUM_DAYS = 31
_DAY_MS = 86_400_000
ACTOR_LENGTH = 128
REASON_LENGTH = 1024


class WantedEdits(NamedTuple):
    """What is to be edited, by whom and why."""

    readings: Sequence[WantedReading]
    actor: str
    reason: str


def wanted_edits(request: EditReadingsRequest, kind: Kind, expected_interval_ms: int, now_ms: int) -> WantedEdits:
    """The edits of a request, for a device of a kind.

    Raises:
        InvalidArgument: fields break their rules.
    """
    violations = [
        *text_violations("actor", request.actor, ACTOR_LENGTH),
        *text_violations("reason", request.reason, REASON_LENGTH),
    ]
    if not 1 <= len(request.edits) <= EDITS_MAXIMUM:
        violations.append(FieldViolation("edits", "OUT_OF_RANGE", f"must hold 1 to {EDITS_MAXIMUM} edits"))
    readings: list[WantedReading] = []
    for place, edit in enumerate(request.edits[:EDITS_MAXIMUM]):
        field = f"edits[{place}].reading"
        wrong = _violations(edit.reading, request.device_id, kind, field)
        if not wrong:
            try:
                logged = logged_reading(_completed(edit.reading, request.device_id, expected_interval_ms), 0)
            except ValueError as problem:
                wrong = [FieldViolation(field, "INVALID_FORMAT", str(problem))]
            else:
                wrong = _range_violations(logged, field, now_ms)
                readings.append(_wanted(edit, logged))
        violations += wrong
    starts_ms = [one.start_ms for one in readings]
    if len(set(starts_ms)) < len(starts_ms):
        violations.append(FieldViolation("edits", "OUT_OF_RANGE", "must not hold a start twice"))
    if starts_ms and max(starts_ms) - min(starts_ms) > WINDOW_MAXIMUM_DAYS * _DAY_MS:
        violations.append(FieldViolation("edits", "OUT_OF_RANGE", f"must lie within {WINDOW_MAXIMUM_DAYS} days"))
    if violations:
        raise InvalidArgument(violations)
    return WantedEdits(readings, request.actor, request.reason)


def text_violations(field: str, value: str, longest: int) -> list[FieldViolation]:
    """What is wrong with a text that is required."""
    if not value.strip():
        return [FieldViolation(field, "FIELD_REQUIRED", "is required")]
    if len(value) > longest:
        return [FieldViolation(field, "OUT_OF_RANGE", f"must have at most {longest} characters")]
    return []


def _violations(reading: Reading, device_id: str, kind: Kind, field: str) -> list[FieldViolation]:
    found = []
    if reading.device_id not in {"", device_id}:
        found.append(FieldViolation(f"{field}.device_id", "OUT_OF_RANGE", "must be the device of the request"))
    if not reading.HasField("start_time"):
        found.append(FieldViolation(f"{field}.start_time", "FIELD_REQUIRED", "is required"))
    if reading.revision:
        found.append(
            FieldViolation(f"{field}.revision", "OUT_OF_RANGE", "must be absent: it follows from the present one")
        )
    measured = reading.WhichOneof("measurement")
    if measured is None:
        found.append(FieldViolation(f"{field}.measurement", "FIELD_REQUIRED", "is required"))
    elif measured != kind.name:
        found.append(FieldViolation(f"{field}.{measured}", "KIND_MISMATCH", f"must be a measurement of a {kind.name}"))
    return found


def _completed(reading: Reading, device_id: str, expected_interval_ms: int) -> Reading:
    whole = Reading()
    whole.CopyFrom(reading)
    whole.device_id = device_id
    if not whole.HasField("interval"):
        whole.interval.CopyFrom(duration_from_ms(expected_interval_ms))
    return whole


def _range_violations(logged: LoggedReading, field: str, now_ms: int) -> list[FieldViolation]:
    found = []
    if not 1 <= logged.interval_ms <= WINDOW_MAXIMUM_DAYS * _DAY_MS:
        found.append(FieldViolation(f"{field}.interval", "OUT_OF_RANGE", "must be 1 millisecond to 31 days"))
    if logged.start_ms > now_ms:
        found.append(FieldViolation(f"{field}.start_time", "OUT_OF_RANGE", "must not be in the future"))
    for column, value in zip(KINDS[logged.kind].columns, logged.values, strict=True):
        name = f"{field}.{logged.kind}.{column.field}"
        if value is not None and not math.isfinite(value):
            found.append(FieldViolation(name, "OUT_OF_RANGE", "must be a finite number"))
        elif value is not None and column.is_energy and value < 0:
            found.append(FieldViolation(name, "OUT_OF_RANGE", "must not be negative"))
    return found


def _wanted(edit: ReadingEdit, logged: LoggedReading) -> WantedReading:
    present = edit.present_revision if edit.HasField("present_revision") else None
    return WantedReading(logged.start_ms, logged.interval_ms, logged.values, present)
