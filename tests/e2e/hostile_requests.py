"""Requests as nobody should send them, made of the contract alone: every field of every message, seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DEEPEST = 6
_EPOCH = date(1970, 1, 1)
ID_BOUND = 10_000

HOSTILE_STRINGS = (
    "",
    " ",
    "x" * 128,
    "x" * 129,
    "x" * 20_000,
    "$where",
    "$gt",
    "a.b",
    "a.$.b",
    ".*",
    "^(x+)+$",
    '{"$ne": null}',
    "two\nlines",
    "nul\x00byte",
    "\x1b[31mred",
    "\u202egnirts",
    "हाउस-7 ☂",
    "=1+2",
    "../../up",
    "%s%n{0}",
    "NaN",
    "Infinity",
    "-1",
    "1e999",
    "1E-400",
    "0.0000000000000000000000000000001",
    "9" * 400,
    "eyJrIjp7fSwiZiI6IjAwIn0",
    "a@b@c@1",
    "acc-1@2026-11-20@2026-11-21@999999999999999999999",
    "acc-1@0000-00-00@9999-99-99",
    "Mars/Olympus",
    "../etc/localtime",
)
HOSTILE_INTEGERS = (0, 1, -1, 2, 1001, 10_001, 2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63))
HOSTILE_NUMBERS = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7e308, -1.0, 1e15, 0.1)
# Seconds since 1970: the bounds of a protobuf time and what lies beyond them, and of 32 and 64 bits.
HOSTILE_SECONDS = (0, -1, -62135596800, -62135596801, 253402300799, 253402300800, 2**31, 2**62, -(2**63), 1763596800)
HOSTILE_NANOS = (0, 1, 999_999_999, 1_000_000_000, -1, 1_000_000, -(2**31))
HOSTILE_YEARS = (0, 1, 9999, 10_000, -1, 2026, 2**31 - 1)
HOSTILE_UNITS = (0, 1, -1, 2**63 - 1, -(2**63), 10**15)
# Seconds since 1970 from which on the times of a request are right: of now, and of where calendars and systems end.
NOW = 1_763_596_800
EDGES = (-62135596800, -62104060800, -86_400, 2**31 - 86_400, 253_370_764_800 - 172_800, 253402300800 - 216_000)
LENGTHS = (0, 1, 2, 3, 101, 1001)

Names = Mapping[str, Sequence[str]]


class HostileRequests:
    """Makes requests of any message of the contract.

    `names` has, for the end of a field's name, what may stand there in a request that is otherwise right; a field that
    is not hostile this time takes its value from there, so that refusals are met behind the first check as well.
    """

    def __init__(self, seed: int, names: Names) -> None:
        self._random = random.Random(seed)
        self._era = NOW
        self._names = names

    def request(self, descriptor: Descriptor, *, hostility: float, era: int = NOW) -> Message:
        """A message of which about that share (0..1) of the fields is hostile and about a tenth is absent.

        Its other times lie within three days from `era` on, seconds since 1970: a whole period at an odd time is let
        further in than one with an odd end.
        """
        message: Message = GetMessageClass(descriptor)()
        self._era = era
        self._fill(message, hostility, depth=0)
        return message

    def _fill(self, message: Message, hostility: float, depth: int) -> None:
        special = _SPECIAL.get(message.DESCRIPTOR.full_name)
        if special:
            special(self, message, hostility)
            return
        for group in message.DESCRIPTOR.oneofs:
            chosen = self._random.choice(group.fields)
            if self._random.random() > 0.1:
                self._set(message, chosen, hostility, depth)
        for field in message.DESCRIPTOR.fields:
            if field.containing_oneof is None and self._random.random() > 0.1:
                self._set(message, field, hostility, depth)

    def _set(self, message: Message, field: Any, hostility: float, depth: int) -> None:
        if field.message_type is not None and depth >= DEEPEST:
            return
        hostile = self._random.random() < hostility
        if not field.is_repeated:
            if field.message_type is not None:
                getattr(message, field.name).SetInParent()
                self._fill(getattr(message, field.name), hostility, depth + 1)
            else:
                setattr(message, field.name, self._scalar(field, hostile=hostile))
            return
        # Many only near the root, for the product of many at each depth would be no message any more.
        length = self._random.choice(LENGTHS if hostile and depth <= 1 else LENGTHS[:3])
        values = getattr(message, field.name)
        for _ in range(length):
            if field.message_type is not None:
                self._fill(values.add(), hostility if length < ID_BOUND else 0, depth + 1 + (length > LENGTHS[3]) * 3)
            else:
                values.append(self._scalar(field, hostile=hostile and self._random.random() < hostility))

    def _scalar(self, field: Any, *, hostile: bool) -> Any:
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return self._random.randbytes(self._random.choice((0, 1, 64)))
            case FieldDescriptor.CPPTYPE_STRING:
                return self._random.choice(HOSTILE_STRINGS) if hostile else self._name(field.name)
            case FieldDescriptor.CPPTYPE_BOOL:
                return self._random.random() < 0.5
            case FieldDescriptor.CPPTYPE_ENUM:
                numbers = [value.number for value in field.enum_type.values]
                return self._random.choice((-1, 999, 0, -(2**31)) if hostile else numbers)
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return self._random.choice(HOSTILE_NUMBERS) if hostile else round(self._random.uniform(0, 100), 3)
            case _:
                return self._integer(field, hostile=hostile)

    def _integer(self, field: Any, *, hostile: bool) -> int:
        bits = 31 if field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 63
        unsigned = field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
        lowest = 0 if unsigned else -(2**bits)
        fitting = [value for value in HOSTILE_INTEGERS if lowest <= value < 2**bits]
        return self._random.choice(fitting) if hostile else self._random.randint(0, 10)

    def _name(self, field: str) -> str:
        endings = [ending for ending in self._names if field.endswith(ending)]
        return self._random.choice(self._names[max(endings, key=len)]) if endings else "word"

    def _timestamp(self, message: Any, hostility: float) -> None:
        hostile = self._random.random() < hostility
        # Some hour of three days, so that a start is before an end about every second time.
        message.seconds = (
            self._random.choice(HOSTILE_SECONDS) if hostile else self._era + self._random.randrange(60) * 3600
        )
        message.nanos = self._random.choice(HOSTILE_NANOS) if hostile else 0

    def _duration(self, message: Any, hostility: float) -> None:
        hostile = self._random.random() < hostility
        message.seconds = self._random.choice(HOSTILE_SECONDS) if hostile else 900
        message.nanos = self._random.choice(HOSTILE_NANOS) if hostile else 0

    def _date(self, message: Any, hostility: float) -> None:
        hostile = self._random.random() < hostility
        right = _EPOCH + timedelta(seconds=self._era + self._random.randrange(3) * 86_400 - 86_400 * (self._era > 0))
        message.year = self._random.choice(HOSTILE_YEARS) if hostile else right.year
        message.month = self._random.choice((0, 13, -1, 2, 12)) if hostile else right.month
        message.day = self._random.choice((0, 30, 31, 32, -1, 1)) if hostile else right.day

    def _money(self, message: Any, hostility: float) -> None:
        hostile = self._random.random() < hostility
        message.currency_code = self._random.choice(("", "inr", "XXX", "₹", "INRX", "$")) if hostile else "INR"
        message.units = self._random.choice(HOSTILE_UNITS) if hostile else self._random.randint(0, 9)
        message.nanos = self._random.choice(HOSTILE_NANOS) if hostile else 0

    def _decimal(self, message: Any, hostility: float) -> None:
        hostile = self._random.random() < hostility
        message.value = self._random.choice(HOSTILE_STRINGS) if hostile else str(self._random.randint(0, 50))


_SPECIAL: dict[str, Any] = {
    "google.protobuf.Timestamp": HostileRequests._timestamp,
    "google.protobuf.Duration": HostileRequests._duration,
    "google.type.Date": HostileRequests._date,
    "google.type.Money": HostileRequests._money,
    "google.type.Decimal": HostileRequests._decimal,
}
