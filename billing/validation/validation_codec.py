"""Turns exceptions and edits into the messages people ask for."""

from energy.billing.v1 import validation_pb2

from billing.cold.reading_codec import to_recorded_reading
from billing.log.observation import SpanKey
from billing.log.schema import KINDS
from billing.metering.reading_exception_store import ReadingException
from billing.metering.validation_rule import Severity, ValidationRule
from billing.validation.reading_edit_store import ReadingEdit
from common.instants import from_ms

_RULES: dict[ValidationRule, "validation_pb2.ValidationRule.ValueType"] = {
    rule: validation_pb2.ValidationRule.Value(f"VALIDATION_RULE_{rule.name}") for rule in ValidationRule
}
_SEVERITIES: dict[Severity, "validation_pb2.ValidationSeverity.ValueType"] = {
    severity: validation_pb2.ValidationSeverity.Value(f"VALIDATION_SEVERITY_{severity.name}") for severity in Severity
}


def to_exception(exception: ReadingException) -> validation_pb2.ReadingException:
    """An exception as a message."""
    finding = exception.finding
    return validation_pb2.ReadingException(
        device_id=exception.device_id,
        rule=_RULES[finding.rule],
        severity=_SEVERITIES[finding.severity],
        channel=finding.channel,
        start_time=from_ms(finding.start_ms),
        end_time=from_ms(finding.end_ms),
        value=finding.value,
        limit=finding.limit,
        found_time=from_ms(exception.found_ms),
        resolved_time=None if exception.resolved_ms is None else from_ms(exception.resolved_ms),
    )


def to_recorded_edit(edit: ReadingEdit) -> validation_pb2.RecordedEdit:
    """An edit as a message."""
    span_ms = KINDS[edit.kind].span_ms
    key = SpanKey(edit.kind, edit.device_id, edit.start_ms - edit.start_ms % span_ms)
    before = edit.before
    return validation_pb2.RecordedEdit(
        before=None if before is None else to_recorded_reading(key, before, superseded=True),
        after=to_recorded_reading(key, edit.after, superseded=False),
        actor=edit.actor,
        reason=edit.reason,
        edit_time=from_ms(edit.edit_ms),
    )
