"""Reads amounts, numbers, days and choices of a tariff's message; what cannot be read is noted, all at once."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Context, Decimal
from typing import TypeVar

from google.protobuf.message import Message
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

from common.errors import FieldViolation
from common.money import to_decimal

T = TypeVar("T")

# The grammar of google.type.Decimal, kept short of numbers nobody means.
_DECIMAL = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?")
_WIDE = Context(prec=200)
_NOTHING = Decimal(0)
_HOLIDAYS_MAXIMUM = 1000


class TariffReader:
    """Reads amounts of one currency; what cannot be read is noted and taken for 0, which breaks no other rule."""

    def __init__(self, currency_code: str) -> None:
        self._currency_code = currency_code
        self.violations: list[FieldViolation] = []

    def refuse(self, path: str, reason: str, description: str) -> None:
        """Notes a broken rule."""
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

    def optional_money(self, message: Message, field: str, path: str) -> Decimal | None:
        """The amount in a field, or None without the field."""
        return self.money(message, field, path) if message.HasField(field) else None

    def optional_number(self, message: Message, field: str, path: str) -> Decimal | None:
        """The exact number in a field of a message, or None without the field; `path` is the path of the message."""
        if not message.HasField(field):
            return None
        value = getattr(message, field).value
        if not _DECIMAL.fullmatch(value):
            self.refuse(f"{path}.{field}", "INVALID_FORMAT", "must be a decimal number such as 18 or 5.5")
            return _NOTHING
        return Decimal(value)

    def choice(self, choices: Mapping[int, T], number: int, path: str) -> T:
        """What a number of an enumeration stands for; `path` is the path of the field."""
        if number not in choices:
            self.refuse(path, "INVALID_FORMAT", "must be one of the values of the contract")
            return next(iter(choices.values()))
        return choices[number]

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


def decimal_message(number: Decimal) -> DecimalMessage:
    """The message of an exact number, in plain digits and without trailing zeros."""
    plain = format(number.normalize(_WIDE), "f")
    return DecimalMessage(value="0" if number == 0 else plain)
