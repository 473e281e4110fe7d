"""Which devices are silent, and whether that is the silence of one device or of a whole region: pure rules.

When a region goes silent its devices do so one after the other, each three of its intervals after it was heard last. So
a device is given one interval more before it counts alone, and in that time most of its neighbours are silent, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Devices that have been silent for longer say nothing about what their region does today.
LONG_AGO_MS = 86_400_000


class Heard(NamedTuple):
    """A device that was heard once: when last, UTC ms, and how long it may be silent, and then be counted alone, ms."""

    device_id: str
    last_ms: int
    silent_after_ms: int
    alone_after_ms: int
    is_known_silent: bool
    """Whether an alert of its own is open."""


class RegionSilence(NamedTuple):
    """The devices of a region that are silent, or were and are heard again, and whether the region as a whole is."""

    silent: list[Heard]
    heard: list[Heard]
    silent_count: int
    counted_count: int
    is_region_silent: bool


def region_silence(
    devices: Sequence[Heard],
    now_ms: int,
    *,
    since_ms: int,
    silent_percent: float,
    minimum_devices: float,
    region_silent_from_ms: int | None = None,
) -> RegionSilence:
    """What the devices of a region say together.

    Nobody counts as silent for longer than since `since_ms`: before, nobody could have been heard. The region is silent
    if of the devices that can be told apart, those that are silent and those that were heard since the last of these
    was, at least so many per cent and so many are silent. `silent` has those that count alone, none while the region is
    silent. `region_silent_from_ms` is when the region was found silent, if it was and has not been heard since: who
    fell silent with it belongs to it, however long that lasts.
    """
    # Long ago is so before the silence of the region, not before now.
    recent_ms = now_ms if region_silent_from_ms is None else min(now_ms, region_silent_from_ms)
    fresh = [
        one
        for one in devices
        if one.silent_after_ms <= now_ms - max(one.last_ms, since_ms)
        and recent_ms - one.last_ms < max(LONG_AGO_MS, 2 * one.alone_after_ms)
        and not one.is_known_silent
    ]
    last_ms = max((one.last_ms for one in fresh), default=now_ms)
    heard = [one for one in devices if now_ms - one.last_ms < one.silent_after_ms]
    alive_count = sum(one.last_ms > last_ms for one in heard)
    counted_count = len(fresh) + alive_count
    is_region_silent = len(fresh) >= minimum_devices and 100 * len(fresh) >= silent_percent * counted_count
    silent = [one for one in devices if now_ms - max(one.last_ms, since_ms) >= one.alone_after_ms]
    if is_region_silent:
        silent = [one for one in silent if one.is_known_silent]
    return RegionSilence(silent, heard, len(fresh), counted_count, is_region_silent)
