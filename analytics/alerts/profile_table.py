"""The sets of thresholds in use, by number, so that a column can say of each device which one holds for it."""

from __future__ import annotations

from itertools import islice

import numpy as np

from analytics.alerts.alert_catalogue import THRESHOLDS, TYPES
from analytics.alerts.alert_rule import Profile
from common.reading_location import Integers

Values = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Switches = np.ndarray[tuple[int, int], np.dtype[np.bool_]]


class ProfileTable:
    """Numbers profiles as they come, the same profile by the same number."""

    def __init__(self) -> None:
        self._numbers: dict[Profile, int] = {}
        self._values: Values = np.zeros((0, len(THRESHOLDS)))
        self._is_enabled: Switches = np.zeros((0, len(TYPES)), np.bool_)

    def __len__(self) -> int:
        return len(self._numbers)

    def number_of(self, profile: Profile) -> int:
        """The number of a profile."""
        number = self._numbers.get(profile)
        if number is None:
            number = self._numbers[profile] = len(self._numbers)
        return number

    def columns(self) -> tuple[Values, Switches]:
        """Every threshold, and whether each type is raised; a row a profile, by number."""
        known = len(self._values)
        if known < len(self._numbers):
            # Only the new ones: to make numbers of thousands of them takes long.
            new = list(islice(self._numbers, known, None))
            self._values = np.concatenate((self._values, np.array([one.values for one in new])))
            self._is_enabled = np.concatenate((self._is_enabled, np.array([one.is_enabled for one in new])))
        return self._values, self._is_enabled

    def without_unused(self, numbers: Integers) -> Integers:
        """Forgets all profiles but those of these numbers; returns the new numbers of the same ones."""
        used, renumbered = np.unique(numbers, return_inverse=True)
        values, is_enabled = self.columns()
        self._values, self._is_enabled = values[used], is_enabled[used]
        profiles = list(self._numbers)
        self._numbers = {profiles[number]: place for place, number in enumerate(used.tolist())}
        return renumbered.astype(np.int64, copy=False)
