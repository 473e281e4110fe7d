"""What a client writes down for itself: every reading it has sent, and which of them were acked."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from energy.telemetry.v1.reading_pb2 import Reading

from loadgen.acked_frame import AckedFrame, reason_name


class Identity(NamedTuple):
    """What a reading is known by, for ever; `start_ms` in milliseconds since 1970 UTC."""

    device_id: str
    start_ms: int
    revision: int


Book = dict[Identity, int]
"""Energies in whole milliwatt-hours."""


class Journal:
    """The books of one client."""

    def __init__(self) -> None:
        self.sent: Book = {}
        self.acked: Book = {}
        self.refused: Counter[str] = Counter()
        """Refused readings by reason; none of them is meant to be refused."""

    def write(self, identity: Identity, milliwatt_hours: int) -> None:
        """Notes a reading before it is sent."""
        self.sent[identity] = milliwatt_hours

    def take(self, frame: AckedFrame) -> None:
        """Notes which readings of a frame are durable by the gateway's word."""
        refusals = frame.refusals()
        for index, reading in enumerate(frame.readings):
            if index in refusals:
                self.refused[reason_name(refusals[index])] += 1
            else:
                self.take_one(reading)

    def take_one(self, reading: Reading) -> None:
        """Notes that a reading is durable by the gateway's word."""
        identity = identity_of(reading)
        self.acked[identity] = self.sent[identity]


def identity_of(reading: Reading) -> Identity:
    """The identity of a reading."""
    start = reading.start_time
    return Identity(reading.device_id, start.seconds * 1000 + start.nanos // 1_000_000, reading.revision)
