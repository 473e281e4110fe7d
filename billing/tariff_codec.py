"""Tariffs and assignments between the contract and the rules that price readings; every broken rule told at once."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Context, Decimal

from energy.billing.v1 import tariff_pb2
from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.dayofweek_pb2 import DayOfWeek
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

from billing.schema import QUARTER_MS
from billing.tariff import (
    FlatPricing,
    Tariff,
    TariffAssignment,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariff_validation import id_violations, tariff_violations
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms, to_ms
from common.money import from_decimal, to_decimal

DEFAULT_TAX_PERCENT = Decimal(18)

# Of a hopeless request the first violations are enough: a status travels in a header that holds a few kilobytes.
_VIOLATIONS_MAXIMUM = 24
# The grammar of google.type.Decimal, kept short of numbers nobody means.
_DECIMAL = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?")
_WIDE = Context(prec=200)
_NOTHING = Decimal(0)
_HOLIDAYS_MAXIMUM = 1000


def tariff_from_message(message: tariff_pb2.Tariff, path: str = "tariff") -> Tariff:
    """The tariff of a message.

    Raises:
        InvalidArgument: with every rule it breaks (the first 24), each naming its field.
    """
    reader = _Reader(message.currency_code)
    tariff = Tariff(
        tariff_id=message.tariff_id,
        display_name=message.display_name,
        currency_code=message.currency_code,
        pricing=_pricing(reader, message, path),
        daily_charge=reader.money(message, "daily_charge", path) if message.HasField("daily_charge") else None,
        tax_percent=_tax_percent(reader, message, path),
    )
    refuse([*reader.violations, *tariff_violations(tariff, path)])
    return tariff


def tariff_message(tariff: Tariff, create_time_ms: int) -> tariff_pb2.Tariff:
    """The message of a tariff and the instant it was created, UTC milliseconds."""
    message = tariff_pb2.Tariff(
        tariff_id=tariff.tariff_id,
        display_name=tariff.display_name,
        currency_code=tariff.currency_code,
        tax_percent=decimal_message(tariff.tax_percent),
        create_time=from_ms(create_time_ms),
    )
    if tariff.daily_charge is not None:
        message.daily_charge.CopyFrom(from_decimal(tariff.daily_charge, tariff.currency_code))
    if isinstance(tariff.pricing, FlatPricing):
        price = from_decimal(tariff.pricing.price_per_kwh, tariff.currency_code)
        message.flat.CopyFrom(tariff_pb2.FlatPricing(price_per_kwh=price))
    else:
        message.time_of_use.CopyFrom(_time_of_use_message(tariff.pricing, tariff.currency_code))
    return message


def assignment_from_message(message: tariff_pb2.TariffAssignment, path: str = "assignment") -> TariffAssignment:
    """The assignment of a message.

    Raises:
        InvalidArgument: with every rule it breaks, each naming its field.
    """
    violations = [
        *id_violations(f"{path}.device_id", message.device_id),
        *id_violations(f"{path}.tariff_id", message.tariff_id),
    ]
    start_ms = 0
    if not message.HasField("start_time"):
        violations.append(FieldViolation(f"{path}.start_time", "FIELD_REQUIRED", "is required"))
    else:
        try:
            start_ms = to_ms(message.start_time)
        except ValueError as wrong:
            violations.append(FieldViolation(f"{path}.start_time", "INVALID_FORMAT", str(wrong)))
        if start_ms % QUARTER_MS:
            violations.append(FieldViolation(f"{path}.start_time", "INVALID_FORMAT", "must begin a quarter-hour"))
    refuse(violations)
    return TariffAssignment(message.device_id, message.tariff_id, start_ms)


def assignment_message(assignment: TariffAssignment) -> tariff_pb2.TariffAssignment:
    """The message of an assignment."""
    return tariff_pb2.TariffAssignment(
        device_id=assignment.device_id, tariff_id=assignment.tariff_id, start_time=from_ms(assignment.start_ms)
    )


def decimal_message(number: Decimal) -> DecimalMessage:
    """The message of an exact number, in plain digits and without trailing zeros."""
    plain = format(number.normalize(_WIDE), "f")
    return DecimalMessage(value="0" if number == 0 else plain)


def refuse(violations: Iterable[FieldViolation]) -> None:
    """Does nothing without violations.

    Raises:
        InvalidArgument: with the violations.
    """
    found = list(violations)
    if found:
        raise InvalidArgument(found[:_VIOLATIONS_MAXIMUM])


class _Reader:
    """Reads amounts of one currency; what cannot be read is noted and taken for 0, which breaks no other rule."""

    def __init__(self, currency_code: str) -> None:
        self._currency_code = currency_code
        self.violations: list[FieldViolation] = []

    def refuse(self, path: str, reason: str, description: str) -> None:
        self.violations.append(FieldViolation(path, reason, description))

    def money(self, message: Message, field: str, path: str) -> Decimal:
        """The amount in a field of a message; `path` is the path of the message."""
        path = f"{path}.{field}"
        if not message.HasField(field):
            self.refuse(path, "FIELD_REQUIRED", "is required")
            return _NOTHING
        money: Money = getattr(message, field)
        if self._currency_code and money.currency_code != self._currency_code:
            self.refuse(f"{path}.currency_code", "INVALID_FORMAT", "must be the currency of the tariff")
        try:
            return to_decimal(money)
        except ValueError as wrong:
            self.refuse(path, "INVALID_FORMAT", str(wrong))
            return _NOTHING

    def days(self, messages: Sequence[Date], path: str) -> list[date]:
        """Days of the calendar, each once; `path` is the path of the list."""
        found: list[date] = []
        if len(messages) > _HOLIDAYS_MAXIMUM:
            self.refuse(path, "OUT_OF_RANGE", f"must be at most {_HOLIDAYS_MAXIMUM} days")
        for index, message in enumerate(messages[:_HOLIDAYS_MAXIMUM]):
            try:
                day = date(message.year, message.month, message.day)
            except (ValueError, OverflowError):
                self.refuse(f"{path}[{index}]", "INVALID_FORMAT", "must be a day of the calendar: year, month and day")
                continue
            if day in found:
                self.refuse(f"{path}[{index}]", "INVALID_FORMAT", "must not be there twice")
            found.append(day)
        return found


def _tax_percent(reader: _Reader, message: tariff_pb2.Tariff, path: str) -> Decimal:
    if not message.HasField("tax_percent"):
        return DEFAULT_TAX_PERCENT
    if not _DECIMAL.fullmatch(message.tax_percent.value):
        reader.refuse(f"{path}.tax_percent", "INVALID_FORMAT", "must be a decimal number such as 18 or 5.5")
        return _NOTHING
    return Decimal(message.tax_percent.value)


def _pricing(reader: _Reader, message: tariff_pb2.Tariff, path: str) -> FlatPricing | TimeOfUsePricing:
    match message.WhichOneof("pricing"):
        case "flat":
            return FlatPricing(reader.money(message.flat, "price_per_kwh", f"{path}.flat"))
        case "time_of_use":
            return _time_of_use(reader, message.time_of_use, f"{path}.time_of_use")
        case _:
            reader.refuse(f"{path}.pricing", "FIELD_REQUIRED", "is required: flat or time_of_use")
            return FlatPricing(_NOTHING)


def _time_of_use(reader: _Reader, message: tariff_pb2.TimeOfUsePricing, path: str) -> TimeOfUsePricing:
    return TimeOfUsePricing(
        periods=tuple(
            TimeOfUsePeriod(
                name=period.name,
                price_per_kwh=reader.money(period, "price_per_kwh", f"{path}.periods[{index}]"),
                windows=tuple(_window(window) for window in period.windows),
            )
            for index, period in enumerate(message.periods)
        ),
        default_name=message.default_name,
        default_price_per_kwh=reader.money(message, "default_price_per_kwh", path),
        holidays=frozenset(reader.days(message.holidays, f"{path}.holidays")),
    )


def _window(message: tariff_pb2.TimeOfUseWindow) -> TimeOfUseWindow:
    weekdays = frozenset(day - DayOfWeek.Value("MONDAY") for day in message.days_of_week)
    return TimeOfUseWindow(weekdays, message.start_minute, message.end_minute, frozenset(message.months))


def _time_of_use_message(pricing: TimeOfUsePricing, currency_code: str) -> tariff_pb2.TimeOfUsePricing:
    return tariff_pb2.TimeOfUsePricing(
        periods=[
            tariff_pb2.TimeOfUsePeriod(
                name=period.name,
                price_per_kwh=from_decimal(period.price_per_kwh, currency_code),
                windows=[_window_message(window) for window in period.windows],
            )
            for period in pricing.periods
        ],
        default_name=pricing.default_name,
        default_price_per_kwh=from_decimal(pricing.default_price_per_kwh, currency_code),
        holidays=[Date(year=day.year, month=day.month, day=day.day) for day in sorted(pricing.holidays)],
    )


def _window_message(window: TimeOfUseWindow) -> tariff_pb2.TimeOfUseWindow:
    monday = DayOfWeek.Value("MONDAY")
    return tariff_pb2.TimeOfUseWindow(
        days_of_week=[monday + weekday for weekday in sorted(window.days_of_week)],
        start_minute=window.start_minute,
        end_minute=window.end_minute,
        months=sorted(window.months),
    )
