"""Exchanges of meters between the contract and the record; every broken rule is named with its field."""

from decimal import Decimal

from energy.billing.v1 import validation_pb2

from billing.metering.meter_exchange_store import RecordedExchange
from billing.metering.metered_interval import CHANNELS
from billing.metering.register import MeterExchange
from billing.tariffs.tariff_reader import TariffReader, decimal_message
from billing.validation.validation_request import ACTOR_LENGTH, REASON_LENGTH, text_violations
from common.energy import kwh, milliwatt_hours
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms, to_ms

_REGISTER_MAXIMUM_KWH = 1e12
_MULTIPLIER_MAXIMUM = 1_000_000
_MULTIPLIER_STEP = Decimal("0.001")


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
    multiplier = _multiplier(message, path, violations)
    if not channels and multiplier is None and not violations:
        field, others = f"{path}.final_import_register_kwh", "the export registers or a multiplier are given"
        violations.append(FieldViolation(field, "FIELD_REQUIRED", f"is required unless {others}"))
    if violations:
        raise InvalidArgument(violations)
    return RecordedExchange(message.device_id, at_ms, channels, message.actor, message.note, now_ms, multiplier)


def _multiplier(message: validation_pb2.MeterExchange, path: str, violations: list[FieldViolation]) -> Decimal | None:
    reader = TariffReader("")
    found = reader.optional_number(message, "register_multiplier", path)
    violations += reader.violations
    if found is None or reader.violations:
        return None
    if not 0 < found <= _MULTIPLIER_MAXIMUM or found % _MULTIPLIER_STEP:
        allowed = f"must be above 0, at most {_MULTIPLIER_MAXIMUM}, and have at most three decimals"
        violations.append(_out_of_range(f"{path}.register_multiplier", allowed))
    return found.normalize()


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
        register_multiplier=None if exchange.multiplier is None else decimal_message(exchange.multiplier),
    )
    for name, one in exchange.channels.items():
        final, initial = _fields(name)
        for field, register in ((final, one.final_milliwatt_hours), (initial, one.initial_milliwatt_hours)):
            if register is not None:
                setattr(message, field, kwh(register))
    return message


def _fields(channel: str) -> tuple[str, str]:
    return f"final_{channel}_register_kwh", f"initial_{channel}_register_kwh"


def _out_of_range(field: str, allowed: str) -> FieldViolation:
    return FieldViolation(field, "OUT_OF_RANGE", allowed)
