"""What the fleet does now: registered devices against the live picture, counted by region, kind and state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Protocol

import numpy as np

from analytics.stream.device_states import STATE_NUMBERS, STATES
from analytics.stream.live_picture import NEVER_SEEN, LivePicture
from analytics.stream.observation import UNKNOWN_STATE
from common.reading_location import Integers
from common.silence import silent_after_ms

# Of very many devices, so without a step of the interpreter and an object for each.
_ID, _REGION, _KIND = attrgetter("device_id"), attrgetter("region"), attrgetter("kind")
_INTERVAL = attrgetter("expected_interval_ms")


class FleetMember(Protocol):
    """What is needed of a registered device."""

    @property
    def device_id(self) -> str:
        """Its id."""

    @property
    def kind(self) -> int:
        """The number of its kind in the contract."""

    @property
    def region(self) -> str:
        """Its region."""

    @property
    def expected_interval_ms(self) -> int:
        """The interval its readings usually have, milliseconds."""


@dataclass(slots=True)
class FleetGroup:
    """The devices of one region and kind.

    `power_kw` adds up the newest power of the devices that are not stale, with the sign of their kind: meters and
    vehicles take when positive, storage gives. `power_device_count` is how many that are.
    """

    device_count: int = 0
    stale_device_count: int = 0
    power_kw: float = 0.0
    power_device_count: int = 0
    states: Counter[str] = field(default_factory=Counter)


class FleetSurvey:
    """One look at the fleet at one instant; `groups` is keyed by region and kind."""

    def __init__(self, picture: LivePicture, now_ms: int) -> None:
        self._picture = picture
        self.now_ms = now_ms
        self.groups: dict[tuple[str, int], FleetGroup] = {}
        self._stale_at_ms = _StaleAt(now_ms)

    def add(self, members: Iterable[FleetMember]) -> None:
        """Counts devices. A large fleet can be added in pieces, so that other work comes in between."""
        some = list(members)
        if not some:
            return
        count = len(some)
        rows = self._picture.rows_of(list(map(_ID, some)))
        groups, group = self._grouped(some)
        stale_at_ms = np.fromiter(map(self._stale_at_ms.__getitem__, map(_INTERVAL, some)), np.int64, count)
        is_seen = rows != NEVER_SEEN
        is_stale = ~is_seen | (self._picture.last_receive_ms[rows] <= stale_at_ms)
        state = np.where(is_seen, self._picture.state[rows], STATE_NUMBERS[UNKNOWN_STATE])
        power_kw = self._picture.power_kw[rows]
        has_power = ~is_stale & ~np.isnan(power_kw)
        # One after the other in the order of the devices, so that how they are cut into pieces does not matter.
        power_sums_kw = np.array([one.power_kw for one in groups])
        np.add.at(power_sums_kw, group[has_power], power_kw[has_power])
        device_counts = np.bincount(group, minlength=len(groups)).tolist()
        power_counts = np.bincount(group[has_power], minlength=len(groups)).tolist()
        stale_counts = np.bincount(group[is_stale], minlength=len(groups)).tolist()
        state_counts = np.bincount(group * len(STATES) + state, minlength=len(groups) * len(STATES))
        for number, one in enumerate(groups):
            one.device_count += device_counts[number]
            one.stale_device_count += stale_counts[number]
            one.power_device_count += power_counts[number]
            one.power_kw = float(power_sums_kw[number])
        for place in np.flatnonzero(state_counts).tolist():
            groups[place // len(STATES)].states[STATES[place % len(STATES)]] += int(state_counts[place])

    def device_count(self) -> int:
        """All devices."""
        return sum(group.device_count for group in self.groups.values())

    def stale_device_count(self) -> int:
        """All stale devices."""
        return sum(group.stale_device_count for group in self.groups.values())

    def counts_by_kind_and_state(self) -> dict[tuple[int, str], int]:
        """How many devices of each kind are in each state, by kind and then state."""
        counts: Counter[tuple[int, str]] = Counter()
        for (_, kind), group in self.groups.items():
            for state, device_count in group.states.items():
                counts[kind, state] += device_count
        return dict(sorted(counts.items()))

    def _grouped(self, members: Sequence[FleetMember]) -> tuple[list[FleetGroup], Integers]:
        """The groups of some devices, and of each device the place of its group among them."""
        regions = list(map(_REGION, members))
        names = list(dict.fromkeys(regions))
        numbers = {name: number for number, name in enumerate(names)}
        kind = np.fromiter(map(_KIND, members), np.int64, len(members))
        kinds_count = int(kind.max()) + 1
        key = np.fromiter(map(numbers.__getitem__, regions), np.int64, len(members)) * kinds_count + kind
        present = np.flatnonzero(np.bincount(key))
        place = np.zeros(present[-1] + 1, np.int64)
        place[present] = np.arange(present.size)
        found = [(names[number // kinds_count], number % kinds_count) for number in present.tolist()]
        return [self.groups.setdefault(one, FleetGroup()) for one in found], place[key]


class _StaleAt(dict[int, int]):
    """When a device is stale that nothing was received from since, by expected interval; there are few of these."""

    def __init__(self, now_ms: int) -> None:
        super().__init__()
        self._now_ms = now_ms

    def __missing__(self, expected_interval_ms: int) -> int:
        stale_at_ms = self[expected_interval_ms] = self._now_ms - silent_after_ms(expected_interval_ms)
        return stale_at_ms
