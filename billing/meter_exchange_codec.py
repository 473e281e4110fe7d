"""Exchanges of meters between the contract and the record; every broken rule is named with its field."""

from energy.billing.v1 import validation_pb2

from billing.meter_exchange_store import RecordedExchange
from billing.metered_interval import CHANNELS
from billing.register import MeterExchange
from billing.validation_request import ACTOR_LENGTH, REASON_LENGTH, text_violations
from common.energy import kwh, milliwatt_hours
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms, to_ms

_REGISTER_MAXIMUM_KWH = 1e12


def exchange_of(message: validation_pb2.MeterExchange, now_ms: int, path: str = "exchange") -> RecordedExchange:
    """The exchange of a message, recorded now.

    Raises:
        InvalidArgument: with every rule it breaks.
    """
    violations = text_violations(f"{path}.actor", message.actor, ACTOR_LENGTH)
    if len(message.note) > REASON_LENGTH:
        violations.append(_out_of_range(f"{path}.note", f"must have at most {REASON_LENGTH} characters"))
    at_ms = _instant(message, now_ms, f"{path}.exchange_time", violations)
    channels = {}
    for channel in CHANNELS:
        values = _registers(message, channel.name, path, violations)
        if values is not None:
            channels[channel.name] = MeterExchange(at_ms, *values)
    if not channels and not violations:
        field = f"{path}.final_import_register_kwh"
        violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required unless the export registers are given"))
    if violations:
        raise InvalidArgument(violations)
    return RecordedExchange(message.device_id, at_ms, channels, message.actor, message.note, now_ms)


def _instant(message: validation_pb2.MeterExchange, now_ms: int, field: str, violations: list[FieldViolation]) -> int:
    if not message.HasField("exchange_time"):
        violations.append(FieldViolation(field, "FIELD_REQUIRED", "is required"))
        return 0
    try:
        at_ms = to_ms(message.exchange_time)
    except ValueError as wrong:
        violations.append(FieldViolation(field, "INVALID_FORMAT", str(wrong)))
        return 0
    if at_ms > now_ms:
        violations.append(_out_of_range(field, "must not be in the future"))
    return at_ms


def _registers(
    message: validation_pb2.MeterExchange, channel: str, path: str, violations: list[FieldViolation]
) -> tuple[int, int] | None:
    """Final and initial value of a channel, milliwatt-hours; None when it is not given, or wrong."""
    names = _fields(channel)
    given = [name for name in names if message.HasField(name)]  # type: ignore[arg-type]
    values = [getattr(message, name) for name in given]
    wrong = [name for name, value in zip(given, values, strict=True) if not 0 <= value <= _REGISTER_MAXIMUM_KWH]
    violations += [_out_of_range(f"{path}.{name}", "must be 0 to 1e12") for name in wrong]
    if len(given) == 1:
        (missing,) = set(names) - set(given)
        violations.append(FieldViolation(f"{path}.{missing}", "FIELD_REQUIRED", "is required beside the other one"))
    if wrong or len(given) != len(names):
        return None
    final, initial = (milliwatt_hours(value) for value in values)
    return final, initial


def to_exchange(exchange: RecordedExchange) -> validation_pb2.MeterExchange:
    """An exchange as a message."""
    message = validation_pb2.MeterExchange(
        device_id=exchange.device_id,
        exchange_time=from_ms(exchange.at_ms),
        actor=exchange.actor,
        note=exchange.note,
        record_time=from_ms(exchange.record_ms),
    )
    for name, one in exchange.channels.items():
        final, initial = _fields(name)
        setattr(message, final, kwh(one.final_milliwatt_hours))
        setattr(message, initial, kwh(one.initial_milliwatt_hours))
    return message


def _fields(channel: str) -> tuple[str, str]:
    return f"final_{channel}_register_kwh", f"initial_{channel}_register_kwh"


def _out_of_range(field: str, allowed: str) -> FieldViolation:
    return FieldViolation(field, "OUT_OF_RANGE", allowed)
