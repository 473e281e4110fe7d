"""Looks by the clock at how well vehicles charge: a charger that loses too much, or that measures less than arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from energy.registry.v1 import device_pb2

from analytics.alert import Alert, AlertType, Cause, Severity, Sighting
from analytics.alert_desk import AlertDesk
from analytics.alert_rule import AlertRules, Profile
from analytics.charging_limits import efficiency_limits
from analytics.clock_causes import ClockCauses
from analytics.efficiency_state import EfficiencyState, charging_state
from analytics.live_picture import LivePicture
from analytics.performance import Performance, Window
from common.cached_device import CachedDevice
from common.logs import get_logger
from common.mesh_error import MeshError

# A vehicle is looked at so often while it charges, and its last day each time.
EVERY_MS = 900_000
WINDOW_MS = 86_400_000
# What the meter of the charger has measured may come a little later than what the vehicle has.
SETTLED_MS = 120_000
_TURN_SECONDS = 10.0
_QUESTION_SECONDS = 10.0
_STATES = {"CHARGING", "FINISHING", "SUSPENDED_EV", "SUSPENDED_EVSE"}

_log = get_logger(__name__)


class Verdict(NamedTuple):
    """What a performance says about two causes: there, gone, or None where it says nothing; in per cent."""

    is_low: bool | None
    is_impossible: bool | None
    efficiency_percent: float


def verdict(performance: Performance, profile: Profile) -> Verdict | None:
    """Judges how a vehicle charged; None where too little was measured to say anything.

    Over so many kilowatt-hours into the battery, less than 85 per cent of what the charger took is too little; more
    than all of it is an error of the data.
    """
    delivered, efficiency = performance.dc_milliwatt_hours, performance.efficiency
    state = charging_state(delivered, performance.ac_milliwatt_hours, efficiency_limits(profile))
    if efficiency is None or state in {EfficiencyState.NO_DATA, EfficiencyState.TOO_SMALL}:
        return None
    percent = 100 * efficiency
    if state is EfficiencyState.DATA_ERROR:
        return Verdict(None, is_impossible=True, efficiency_percent=percent)
    return Verdict(state is EfficiencyState.LOW, is_impossible=False, efficiency_percent=percent)


class Report(Protocol):
    """Who knows how a vehicle charged."""

    async def of(self, device_id: str, window: Window, time_remaining_seconds: float | None) -> Performance:
        """The performance of a vehicle; raises a `MeshError` when it cannot be known."""


class EfficiencySweep:
    """Looks as a background task, at one vehicle after the other."""

    def __init__(
        self,
        devices: Callable[[], Iterable[CachedDevice]],
        picture: LivePicture,
        report: Report,
        desk: AlertDesk,
        *,
        unseen_among: Callable[[Iterable[str]], Collection[str]],
        rules: Callable[[], AlertRules],
        known_alerts: Callable[[], Mapping[str, Alert] | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._devices = devices
        self._picture = picture
        self._report = report
        self._causes = ClockCauses(desk)
        self._unseen_among = unseen_among
        self._rules = rules
        self._known_alerts = known_alerts
        self._now_ms = now_ms
        self._looked_ms: dict[str, int] = {}

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await asyncio.sleep(_TURN_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Looks at those that charge and whose turn it is."""
        known = self._known_alerts()
        if known is None:
            return
        for device in self._due():
            self._looked_ms[device.device_id] = now_ms = self._now_ms()
            end_ms = now_ms - SETTLED_MS
            try:
                performance = await self._report.of(
                    device.device_id, Window(end_ms - WINDOW_MS, end_ms), _QUESTION_SECONDS
                )
            except* MeshError as unknown:
                reasons = [getattr(one, "reason", "") for one in unknown.exceptions]
                _log.warning("efficiency_not_known", device_id=device.device_id, reasons=reasons)
            else:
                self._judge(device, performance, known)

    def _due(self) -> Sequence[CachedDevice]:
        now_ms = self._now_ms()
        due = []
        for device in self._devices():
            if device.kind != device_pb2.DEVICE_KIND_VEHICLE or not device.is_active:
                continue
            if now_ms - self._looked_ms.get(device.device_id, 0) < EVERY_MS:
                continue
            live = self._picture.find(device.device_id)
            if live is not None and live.state in _STATES and now_ms - live.last_receive_ms < EVERY_MS:
                due.append(device)
        others = self._unseen_among([device.device_id for device in due])
        return [device for device in due if device.device_id not in others]

    def _judge(self, device: CachedDevice, performance: Performance, known: Mapping[str, Alert]) -> None:
        profile = self._rules().profile_of(device)
        says = verdict(performance, profile)
        if says is None:
            return
        limits = {
            AlertType.EFFICIENCY_LOW: profile.value(AlertType.EFFICIENCY_LOW, "efficiency_percent"),
            AlertType.EFFICIENCY_IMPOSSIBLE: 100.0,
        }
        for alert_type, is_there, severity in (
            (AlertType.EFFICIENCY_LOW, says.is_low, Severity.MEDIUM),
            (AlertType.EFFICIENCY_IMPOSSIBLE, says.is_impossible, Severity.HIGH),
        ):
            cause = Cause(alert_type, device.region, device.device_id)
            if not profile.raises(alert_type):
                self._causes.forget(cause)
            elif is_there:
                sighting = Sighting(
                    cause,
                    severity,
                    performance.window.end_ms,
                    round(says.efficiency_percent, 3),
                    limits[alert_type],
                    device.account_id,
                )
                self._causes.seen(sighting, known)
            elif is_there is False:
                self._causes.gone(cause, known)
