"""Which causes are there now, by device and type: what begins, gets graver, goes on and ends, by the column."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analytics.alerts.alert_catalogue import TYPES
from common.reading_columns import Truths
from common.reading_location import Integers

# Whoever looks at an alert of something that goes on should see that it does; more often would only cost writes.
TELL_AGAIN_MS = 300_000


class Look(NamedTuple):
    """What one reading of each row says about one type: `severity` is 0 where the cause is not there.

    A row that is neither says nothing: between two thresholds, or what was not measured.
    """

    severity: Integers
    is_sound: Truths


class Changes(NamedTuple):
    """Places in a look: where the cause was seen and that has to be told, where it is new, and where it is gone."""

    told: Integers
    is_new: Truths
    gone: Integers


class ConditionTable:
    """What is there, a row a device and a column a type; rows are numbered by whoever owns the table."""

    def __init__(self, size: int) -> None:
        self._severity = np.zeros((size, len(TYPES)), np.int8)
        self._told_ms = np.zeros((size, len(TYPES)), np.int64)

    def grow(self, size: int) -> None:
        """Makes room for so many rows."""
        more = size - self._severity.shape[0]
        self._severity = np.concatenate((self._severity, np.zeros((more, len(TYPES)), np.int8)))
        self._told_ms = np.concatenate((self._told_ms, np.zeros((more, len(TYPES)), np.int64)))

    def look(self, type_place: int, rows: Integers, start_ms: Integers, seen: Look) -> Changes:
        """Takes what a reading of each row says; each row at most once."""
        before = self._severity[rows, type_place]
        is_there, was_there = seen.severity > 0, before > 0
        is_graver = seen.severity > before
        is_due = is_there & (start_ms - self._told_ms[rows, type_place] >= TELL_AGAIN_MS)
        told = np.flatnonzero(is_there & (is_graver | is_due))
        gone = np.flatnonzero(seen.is_sound & was_there)
        self._told_ms[rows[told], type_place] = start_ms[told]
        # The gravest while it lasts: what goes down and up between two thresholds is told once.
        self._severity[rows, type_place] = np.where(is_there, np.maximum(before, seen.severity), before)
        self._severity[rows[gone], type_place] = 0
        return Changes(told, ~was_there[told], gone)

    def is_there(self, row: int, type_place: int) -> bool:
        """Whether a cause is there."""
        return bool(self._severity[row, type_place])

    def restore(self, row: int, type_place: int, severity: int, told_ms: int) -> None:
        """Takes a cause as being there, for its alert is open; the next sound reading ends it."""
        self._severity[row, type_place] = max(severity, self._severity[row, type_place])
        self._told_ms[row, type_place] = max(told_ms, self._told_ms[row, type_place])
