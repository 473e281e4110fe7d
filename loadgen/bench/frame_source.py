"""Where frames come from: round after round of the fleet, cut into frames, and what the store has to hold of them."""

from __future__ import annotations

import numpy as np

from loadgen.bench.fleet import MINUTE_SECONDS, BenchFleet, import_milliwatt_hours, measurements
from loadgen.bench.reading_bytes import ReadingTable

HOUR_SECONDS = 3600

# So many devices are made ready at once: memory stays small, and the making costs little a reading.
_DEVICES_A_BLOCK = 5_000


class FrameSource:
    """Readings of one row of the report, every one distinct: in each round each device sends one more interval.

    The first round starts at `start_seconds`. Frames are handed out in order, so that the count alone says who sent
    what.
    """

    def __init__(
        self,
        fleet: BenchFleet,
        start_seconds: int,
        *,
        frame_size: int,
        interval_seconds: int = MINUTE_SECONDS,
        carries_interval: bool = False,
    ) -> None:
        self.fleet = fleet
        self.start_seconds = start_seconds
        self.frame_size = frame_size
        self.interval_seconds = interval_seconds
        self.taken = 0
        """Readings handed out."""
        self._table = ReadingTable(fleet.device_ids(), interval_seconds if carries_interval else 0)
        self._block = b""
        self._block_at = 0
        self._made = 0

    @property
    def reading_bytes(self) -> int:
        """Bytes of one reading in a frame."""
        return self._table.row_bytes

    @property
    def rounds(self) -> int:
        """Rounds begun."""
        return -(-self.taken // self.fleet.size)

    @property
    def end_seconds(self) -> int:
        """Where the last reading handed out ends."""
        return self.start_seconds + self.rounds * self.interval_seconds

    @property
    def spans(self) -> int:
        """Hours of devices in which readings were handed out; each becomes one cold document."""
        rounds, rest = divmod(self.taken, self.fleet.size)
        rounds_an_hour = HOUR_SECONDS // self.interval_seconds
        begun = rest if rounds % rounds_an_hour == 0 else 0
        return self.fleet.size * -(-rounds // rounds_an_hour) + begun

    def take(self) -> bytes:
        """The readings of the next frame, without its sequence."""
        size = self.frame_size * self._table.row_bytes
        while len(self._block) - self._block_at < size:
            self._block = self._block[self._block_at :] + self._next_block()
            self._block_at = 0
        frame = self._block[self._block_at : self._block_at + size]
        self._block_at += size
        self.taken += self.frame_size
        return frame

    def start_of(self, position: int) -> tuple[int, int]:
        """Number of the device and start in seconds of the reading at a position from 0."""
        round_number, number = divmod(position, self.fleet.size)
        return number, self.start_seconds + round_number * self.interval_seconds

    def count_of(self, number: int) -> int:
        """How many readings of a device were handed out."""
        rounds, rest = divmod(self.taken, self.fleet.size)
        return rounds + (number < rest)

    def import_of(self, number: int) -> int:
        """Energy of the readings of a device that were handed out, in whole milliwatt-hours."""
        device = np.array([number])
        return sum(
            int(import_milliwatt_hours(device, round_number, self.interval_seconds)[0])
            for round_number in range(self.count_of(number))
        )

    def _next_block(self) -> bytes:
        round_number, first = divmod(self._made, self.fleet.size)
        last = min(first + _DEVICES_A_BLOCK, self.fleet.size)
        self._made += last - first
        start_seconds = self.start_seconds + round_number * self.interval_seconds
        values = measurements(first, last, round_number, self.interval_seconds)
        return self._table.rows(first, last, start_seconds, values)


class Calendar:
    """Gives each row of the report its own time, on a whole hour and after all the rows before it."""

    def __init__(self, start_seconds: int) -> None:
        self._next_seconds = _whole_hour(start_seconds)

    def begin(self) -> int:
        """Where the next row's readings start, seconds since 1970."""
        return self._next_seconds

    def use(self, source: FrameSource) -> None:
        """Says that a row's readings are taken; one that did not begin here, as that of now, changes nothing."""
        if source.start_seconds == self._next_seconds:
            self._next_seconds = _whole_hour(source.end_seconds)


def _whole_hour(seconds: int) -> int:
    return -(-seconds // HOUR_SECONDS) * HOUR_SECONDS
