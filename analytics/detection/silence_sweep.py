"""Looks by the clock for what no reading tells: devices and regions that are not heard of any more.

While this process does not see the stream, be it that the broker is away or that it is behind, it says nothing: then it
is blind, and the devices need not be silent. When it sees again they have time to be heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Protocol

import numpy as np

from analytics.alerts.alert import Alert, AlertType, Cause, Severity, Sighting
from analytics.alerts.alert_desk import AlertDesk
from analytics.alerts.alert_rule import AlertRules, Profile
from analytics.alerts.clock_causes import ClockCauses
from analytics.fleet.silent_devices import Heard, RegionSilence, region_silence
from analytics.stream.live_picture import NEVER_SEEN, LivePicture
from common.cached_device import CachedDevice
from common.reading_location import Integers
from common.silence import silent_after_ms

_EVERY_SECONDS = 1.0
_NEVER_MS = 0
_TYPES = {AlertType.DEVICE_SILENT, AlertType.REGION_SILENT}
_INTERVAL = attrgetter("expected_interval_ms")


class Fleet(Protocol):
    """The registered devices."""

    def all_regions(self) -> list[str]:
        """The regions that have a device."""

    def get(self, device_id: str) -> CachedDevice | None:
        """A device; None if it is not registered."""

    def by_region(self, region: str) -> tuple[CachedDevice, ...]:
        """The devices of a region."""


class Stream(Protocol):
    """What this process sees of the stream."""

    def sees_all(self) -> bool:
        """Whether it sees all that it is to see, up to now."""

    def unseen_among(self, device_ids: Iterable[str]) -> Collection[str]:
        """Those of some devices whose readings may come to another replica."""


class SilenceSweep:
    """Looks every second, as a background task; `known_alerts` gives None while they are not known."""

    def __init__(
        self,
        fleet: Fleet,
        picture: LivePicture,
        stream: Stream,
        desk: AlertDesk,
        *,
        rules: Callable[[], AlertRules],
        known_alerts: Callable[[], Mapping[str, Alert] | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._fleet = fleet
        self._picture = picture
        self._stream = stream
        self._causes = ClockCauses(desk)
        self._rules = rules
        self._known_alerts = known_alerts
        self._now_ms = now_ms
        self._troubled: set[str] = set()
        self._sees_since_ms: int | None = None

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            if self._picture.is_filled and self._stream.sees_all():
                await self.sweep()
            else:
                self.blind()
            await asyncio.sleep(_EVERY_SECONDS)

    def blind(self) -> None:
        """Nothing can be heard; what is silent is so from the next sweep on."""
        self._sees_since_ms = None

    async def sweep(self) -> None:
        """Looks once, region by region; other work comes in between."""
        known = self._known_alerts()
        if known is None:
            return
        if self._sees_since_ms is None:
            self._sees_since_ms = self._now_ms()
        troubled = {self._region_of(alert.cause) for alert in known.values() if alert.cause.type in _TYPES}
        # A cause whose alert somebody has called over is looked at until it is gone.
        troubled |= self._troubled
        for region in self._fleet.all_regions():
            devices = [one for one in self._fleet.by_region(region) if one.is_active]
            rows = self._picture.rows_of([device.device_id for device in devices])
            last_ms = np.where(rows == NEVER_SEEN, _NEVER_MS, self._picture.last_receive_ms[rows])
            if region in troubled or self._may_be_silent(devices, last_ms):
                self._look_at(region, devices, last_ms.tolist(), known)
            await asyncio.sleep(0)

    def _may_be_silent(self, devices: Sequence[CachedDevice], last_ms: Integers) -> bool:
        """Nearly always there is none, by the least that any rule allows, which one look at columns tells."""
        rules = self._rules()
        intervals = rules.least(AlertType.DEVICE_SILENT, "expected_intervals")
        least_ms = int(1000 * rules.least(AlertType.DEVICE_SILENT, "minimum_seconds"))
        interval_ms = np.fromiter(map(_INTERVAL, devices), np.int64, len(devices))
        limit_ms = np.maximum((intervals * interval_ms).astype(np.int64), least_ms)
        return bool(((last_ms != _NEVER_MS) & (self._now_ms() - last_ms >= limit_ms)).any())

    def _look_at(
        self, region: str, devices: Sequence[CachedDevice], last_ms: Sequence[int], known: Mapping[str, Alert]
    ) -> None:
        now_ms, rules = self._now_ms(), self._rules()
        heard = [
            self._heard(device, last, rules, known)
            for device, last in zip(devices, last_ms, strict=True)
            if last != _NEVER_MS
        ]
        profile = rules.profile_of_region(region)
        region_alert = known.get(Cause(AlertType.REGION_SILENT, region).key)
        found = region_silence(
            heard,
            now_ms,
            since_ms=self._sees_since_ms or 0,
            silent_percent=profile.value(AlertType.REGION_SILENT, "silent_percent"),
            minimum_devices=profile.value(AlertType.REGION_SILENT, "minimum_devices"),
            region_silent_from_ms=None if region_alert is None else region_alert.start_ms,
        )
        self._tell_region(region, found, profile, now_ms, known)
        by_id = {device.device_id: device for device in devices}
        others = self._stream.unseen_among(by_id)
        for one in found.silent:
            cause = Cause(AlertType.DEVICE_SILENT, region, one.device_id)
            if one.device_id in others:
                continue
            if not rules.profile_of(by_id[one.device_id]).raises(cause.type):
                self._causes.forget(cause)
                continue
            self._tell(
                Sighting(
                    cause,
                    Severity.MEDIUM,
                    now_ms,
                    (now_ms - one.last_ms) / 1000,
                    one.silent_after_ms / 1000,
                    by_id[one.device_id].account_id,
                ),
                known,
            )
        for one in found.heard:
            if one.device_id not in others:
                self._causes.gone(Cause(AlertType.DEVICE_SILENT, region, one.device_id), known)
        if found.silent or found.is_region_silent:
            self._troubled.add(region)
        else:
            self._troubled.discard(region)

    def _tell_region(
        self, region: str, found: RegionSilence, profile: Profile, now_ms: int, known: Mapping[str, Alert]
    ) -> None:
        cause = Cause(AlertType.REGION_SILENT, region)
        if found.is_region_silent and profile.raises(cause.type):
            measured, expected = float(found.silent_count), float(found.counted_count)
            self._tell(Sighting(cause, Severity.CRITICAL, now_ms, measured, expected), known)
        elif found.is_region_silent:
            self._causes.forget(cause)
        else:
            self._causes.gone(cause, known)

    def _region_of(self, cause: Cause) -> str:
        """Where it is looked for: a device may have moved since its alert was raised."""
        device = self._fleet.get(cause.device_id) if cause.device_id else None
        return cause.region if device is None else device.region

    def _heard(self, device: CachedDevice, last_ms: int, rules: AlertRules, known: Mapping[str, Alert]) -> Heard:
        alert_type = AlertType.DEVICE_SILENT
        profile = rules.profile_of(device)
        intervals = profile.value(alert_type, "expected_intervals")
        limit_ms = max(
            int(intervals * device.expected_interval_ms), int(1000 * profile.value(alert_type, "minimum_seconds"))
        )
        alone_ms = limit_ms + max(device.expected_interval_ms, silent_after_ms(0) // 3)
        key = Cause(alert_type, device.region, device.device_id).key
        return Heard(device.device_id, last_ms, limit_ms, alone_ms, key in known)

    def _tell(self, sighting: Sighting, known: Mapping[str, Alert]) -> None:
        """Tells once: what is silent is so until it is heard."""
        if not self._causes.is_there(sighting.cause):
            self._causes.seen(sighting, known)
