"""What the fleet does now: registered devices against the live picture, counted by region, kind and state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from analytics.live_picture import LivePicture, stale_after_ms
from analytics.observation import UNKNOWN_STATE


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
    vehicles take when positive, storage gives.
    """

    device_count: int = 0
    stale_device_count: int = 0
    power_kw: float = 0.0
    states: Counter[str] = field(default_factory=Counter)


class FleetSurvey:
    """One look at the fleet at one instant; `groups` is keyed by region and kind."""

    def __init__(self, picture: LivePicture, now_ms: int) -> None:
        self._picture = picture
        self.now_ms = now_ms
        self.groups: dict[tuple[str, int], FleetGroup] = {}
        # Expected intervals are few, devices are many.
        self._stale_at_ms: dict[int, int] = {}

    def add(self, members: Iterable[FleetMember]) -> None:
        """Counts devices. A large fleet can be added in pieces, so that other work comes in between."""
        find, groups, stale_at_ms = self._picture.find, self.groups, self._stale_at_ms
        for member in members:
            key = (member.region, member.kind)
            group = groups.get(key)
            if group is None:
                group = groups[key] = FleetGroup()
            group.device_count += 1
            interval_ms = member.expected_interval_ms
            if interval_ms not in stale_at_ms:
                stale_at_ms[interval_ms] = self.now_ms - stale_after_ms(interval_ms)
            live = find(member.device_id)
            if live is None:
                group.stale_device_count += 1
                group.states[UNKNOWN_STATE] += 1
                continue
            group.states[live.state] += 1
            if live.last_receive_ms <= stale_at_ms[interval_ms]:
                group.stale_device_count += 1
            elif live.power_kw is not None:
                group.power_kw += live.power_kw

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
