"""The few pieces of protobuf's wire format that are written and read without a message object.

Source: protobuf.dev, "Encoding", sections "Base 128 Varints", "Message Structure" and "Length-Delimited Records".
"""

from __future__ import annotations

VARINT = 0
FIXED64 = 1
LENGTH_DELIMITED = 2

SEVEN_BITS = 0x7F
MORE_FOLLOWS = 0x80


class NotPlain(Exception):
    """Expected: the bytes are cut off, or encoded in a way that only a full parser should judge."""


def key(field_number: int, wire_type: int) -> bytes:
    """What stands before the value of a field."""
    return varint(field_number << 3 | wire_type)


def varint(number: int) -> bytes:
    """A number of 0 or more, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > SEVEN_BITS:
        encoded.append(number & SEVEN_BITS | MORE_FOLLOWS)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def read_varint(data: bytes, position: int, length_maximum: int = 9) -> tuple[int, int]:
    """The varint at a position of at most so many bytes, and the position after it.

    Raises:
        NotPlain: it is longer, or the bytes end before it does.
    """
    number = 0
    end = min(len(data), position + length_maximum)
    for place in range(position, end):
        byte = data[place]
        number |= (byte & SEVEN_BITS) << 7 * (place - position)
        if byte < MORE_FOLLOWS:
            return number, place + 1
    raise NotPlain
