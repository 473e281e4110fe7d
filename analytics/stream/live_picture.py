"""Where a reading becomes what a device does now: the newest state and power of each, only ever forward in time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from analytics.stream.device_states import STATE_NUMBERS, STATES
from analytics.stream.observation import Observation, ObservedColumns
from common.reading_columns import Numbers
from common.reading_location import Integers

NEVER_SEEN = -1
"""The row of a device that never sent."""

_ROOM_AT_FIRST = 1024
_BEFORE_ALL = np.iinfo(np.int64).min


class LiveDevice(NamedTuple):
    """What the newest reading of a device said, and when anything was last received from it; instants in UTC ms."""

    start_ms: int
    revision: int
    receive_ms: int
    last_receive_ms: int
    state: str
    power_kw: float | None


class LivePicture:
    """Every device that ever sent, a row each. The same observations give the same picture in whatever order they come.

    `start_ms`, `last_receive_ms`, `state` (an index into `STATES`) and `power_kw` (NaN: not measured) are indexed by
    row.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self.is_filled = False
        """Whether what devices did before this process began is here, too."""
        self.start_ms: Integers = np.full(_ROOM_AT_FIRST, _BEFORE_ALL, np.int64)
        self._revision: Integers = np.zeros(_ROOM_AT_FIRST, np.int64)
        self._receive_ms: Integers = np.zeros(_ROOM_AT_FIRST, np.int64)
        self.last_receive_ms: Integers = np.full(_ROOM_AT_FIRST, _BEFORE_ALL, np.int64)
        self.state: Integers = np.zeros(_ROOM_AT_FIRST, np.int64)
        self.power_kw: Numbers = np.full(_ROOM_AT_FIRST, np.nan)
        # Where `apply_columns` finds out which of several readings of one device was written.
        self._place: Integers = np.zeros(_ROOM_AT_FIRST, np.int64)

    def apply(self, observations: Iterable[Observation]) -> None:
        """Takes each observation that is newer than what is known of its device."""
        for seen in observations:
            row = self._rows.get(seen.device_id)
            if row is None:
                row = self._add(seen.device_id)
            self.last_receive_ms[row] = max(self.last_receive_ms[row], seen.receive_ms)
            power_kw = math.nan if seen.power_kw is None else seen.power_kw
            self._take(
                row, _Reading(seen.start_ms, seen.revision, seen.receive_ms, STATE_NUMBERS[seen.state], power_kw)
            )

    def apply_columns(self, seen: ObservedColumns) -> None:
        """As `apply`, many at once."""
        rows = self.rows_of(seen.device_ids)
        for place in np.flatnonzero(rows == NEVER_SEEN).tolist():
            device_id = seen.device_ids[place]
            row = self._rows.get(device_id)
            rows[place] = self._add(device_id) if row is None else row
        np.maximum.at(self.last_receive_ms, rows, seen.receive_ms)
        before = self.start_ms[rows]
        np.maximum.at(self.start_ms, rows, seen.start_ms)
        is_newest = seen.start_ms == self.start_ms[rows]
        is_newer = seen.start_ms > before
        newer = np.flatnonzero(is_newest & is_newer)
        self._place[rows[newer]] = newer
        is_written = self._place[rows[newer]] == newer
        written = newer[is_written]
        rows_written = rows[written]
        self._revision[rows_written] = seen.revision[written]
        self._receive_ms[rows_written] = seen.receive_ms[written]
        self.state[rows_written] = seen.state[written]
        self.power_kw[rows_written] = seen.power_kw[written]
        self._take_equal(seen, rows, np.concatenate((newer[~is_written], np.flatnonzero(is_newest & ~is_newer))))

    def rows_of(self, device_ids: Sequence[str]) -> Integers:
        """The row of each device, `NEVER_SEEN` where there is none."""
        return np.fromiter(map(self._rows.get, device_ids, repeat(NEVER_SEEN)), np.int64, len(device_ids))

    def find(self, device_id: str) -> LiveDevice | None:
        """What is known of a device; None if nothing was ever received from it."""
        row = self._rows.get(device_id)
        if row is None:
            return None
        power_kw = float(self.power_kw[row])
        return LiveDevice(
            int(self.start_ms[row]),
            int(self._revision[row]),
            int(self._receive_ms[row]),
            int(self.last_receive_ms[row]),
            STATES[self.state[row]],
            None if math.isnan(power_kw) else power_kw,
        )

    def _add(self, device_id: str) -> int:
        row = self._rows[device_id] = len(self._rows)
        if row == self.start_ms.size:
            self._grow()
        return row

    def _grow(self) -> None:
        room = self.start_ms.size
        self.start_ms, self.last_receive_ms = (
            np.concatenate((column, np.full(room, _BEFORE_ALL, np.int64)))
            for column in (self.start_ms, self.last_receive_ms)
        )
        self._revision, self._receive_ms, self.state, self._place = (
            np.concatenate((column, np.zeros(room, np.int64)))
            for column in (self._revision, self._receive_ms, self.state, self._place)
        )
        self.power_kw = np.concatenate((self.power_kw, np.full(room, np.nan)))

    def _take_equal(self, seen: ObservedColumns, rows: Integers, places: Integers) -> None:
        """Takes readings whose start is that of the newest; the same reading once more is the usual one and no news."""
        known = rows[places]
        revision, receive_ms = seen.revision[places], seen.receive_ms[places]
        may_supersede = revision > self._revision[known]
        may_supersede |= (revision == self._revision[known]) & (receive_ms <= self._receive_ms[known])
        for place in places[may_supersede].tolist():
            reading = _Reading(
                int(seen.start_ms[place]),
                int(seen.revision[place]),
                int(seen.receive_ms[place]),
                int(seen.state[place]),
                float(seen.power_kw[place]),
            )
            self._take(int(rows[place]), reading)

    def _take(self, row: int, seen: _Reading) -> None:
        """Makes this the newest reading of a device, if it is."""
        known_start_ms = self.start_ms[row]
        if seen.start_ms < known_start_ms or (seen.start_ms == known_start_ms and not self._supersedes(row, seen)):
            return
        self.start_ms[row] = seen.start_ms
        self._revision[row] = seen.revision
        self._receive_ms[row] = seen.receive_ms
        self.state[row] = seen.state
        self.power_kw[row] = seen.power_kw

    def _supersedes(self, row: int, seen: _Reading) -> bool:
        """Whether a reading goes before the known one of the same start."""
        if seen.revision != self._revision[row]:
            return bool(seen.revision > self._revision[row])
        # The same reading again, or a conflict: the earliest receipt wins; what is left to decide needs only be the
        # same whatever the order.
        known = (int(self._receive_ms[row]), int(self.state[row]), float(self.power_kw[row]))
        return _rank(seen.receive_ms, seen.state, seen.power_kw) < _rank(*known)


class _Reading(NamedTuple):
    start_ms: int
    revision: int
    receive_ms: int
    state: int
    power_kw: float


def _rank(receive_ms: int, state: int, power_kw: float) -> tuple[int, int, bool, float]:
    is_measured = not math.isnan(power_kw)
    return (receive_ms, state, is_measured, power_kw if is_measured else 0.0)
