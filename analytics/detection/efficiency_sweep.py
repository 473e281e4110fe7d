"""Looks by the clock at how well vehicles charge: a charger that loses too much, or that measures less than arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from energy.registry.v1 import device_pb2

from analytics.alerts.alert import Alert, AlertType, Cause, Severity, Sighting
from analytics.alerts.alert_desk import AlertDesk
from analytics.alerts.alert_rule import AlertRules, Profile
from analytics.alerts.clock_causes import ClockCauses
from analytics.detection.charging_sessions import ChargingSession, ChargingSessions, whole_intervals
from analytics.performance.charging_limits import efficiency_limits
from analytics.performance.efficiency_state import EfficiencyState, charging_state
from analytics.performance.performance import MeterLink, Performance, meters_by_window
from analytics.stream.device_states import STATE_NUMBERS, STATES
from analytics.stream.live_picture import NEVER_SEEN, LivePicture
from analytics.stream.observation import UNKNOWN_STATE
from analytics.usage.measured_energy import Window
from common.cached_device import CachedDevice, VehicleCharge
from common.logs import get_logger
from common.mesh_error import MeshError
from common.reading_columns import Truths

_TURN_SECONDS = 10.0
_QUESTION_SECONDS = 10.0
# What is not heard of for so long, and for three of its intervals, does not charge any more as far as is known.
_HEARD_WITHIN_MS = 900_000
# A vehicle that does not tell its state charges when it takes more than what its electronics do.
_CHARGING_KW = 0.1
_IS_CHARGING: Truths = np.isin(STATES, ["CHARGING", "FINISHING", "SUSPENDED_EV", "SUSPENDED_EVSE"])
_UNKNOWN = STATE_NUMBERS[UNKNOWN_STATE]

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
    """Looks as a background task, at one charging session after the other: while it lasts, and when it has ended.

    A session is judged by the parts in which a meter is linked, so that each charger is judged by itself and what was
    good before hides nothing. `links` gives the links of a vehicle, `find_device` a device that is known.
    """

    def __init__(
        self,
        devices: Callable[[], Iterable[CachedDevice]],
        picture: LivePicture,
        report: Report,
        desk: AlertDesk,
        *,
        links: Callable[[str], Iterable[VehicleCharge]],
        find_device: Callable[[str], CachedDevice | None],
        unseen_among: Callable[[Iterable[str]], Collection[str]],
        rules: Callable[[], AlertRules],
        known_alerts: Callable[[], Mapping[str, Alert] | None],
        now_ms: Callable[[], int],
    ) -> None:
        self._devices = devices
        self._picture = picture
        self._report = report
        self._causes = ClockCauses(desk)
        self._links = links
        self._find_device = find_device
        self._unseen_among = unseen_among
        self._rules = rules
        self._known_alerts = known_alerts
        self._now_ms = now_ms
        self._sessions = ChargingSessions()

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await asyncio.sleep(_TURN_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Follows what vehicles do, and judges the sessions whose turn it is."""
        self._follow()
        known = self._known_alerts()
        if known is None:
            return
        due = self._sessions.due(self._now_ms())
        others = self._unseen_among([session.vehicle_id for session in due])
        for session in due:
            vehicle = self._find_device(session.vehicle_id)
            if vehicle is None or session.vehicle_id in others:
                # Whoever hears the vehicle judges it.
                self._sessions.done(session, self._now_ms())
                continue
            await self._look_at(session, vehicle, known)

    def _follow(self) -> None:
        now_ms = self._now_ms()
        vehicles = [one for one in self._devices() if one.kind == device_pb2.DEVICE_KIND_VEHICLE and one.is_active]
        rows = self._picture.rows_of([one.device_id for one in vehicles])
        interval_ms = np.fromiter((one.expected_interval_ms for one in vehicles), np.int64, len(vehicles))
        state, heard_ms = self._picture.state[rows], self._picture.last_receive_ms[rows]
        is_charging = _IS_CHARGING[state] | ((state == _UNKNOWN) & (self._picture.power_kw[rows] > _CHARGING_KW))
        is_heard = now_ms - heard_ms < np.maximum(_HEARD_WITHIN_MS, 3 * interval_ms)
        # One that is not heard of any more charged until it was.
        since_ms = np.where(is_charging & ~is_heard, heard_ms, self._picture.start_ms[rows])
        is_charging &= is_heard
        charging: dict[str, int] = {}
        others: dict[str, int] = {}
        for place in np.flatnonzero(rows != NEVER_SEEN).tolist():
            does = charging if is_charging[place] else others
            does[vehicles[place].device_id] = int(since_ms[place])
        self._sessions.follow(charging, others, now_ms)

    async def _look_at(self, session: ChargingSession, vehicle: CachedDevice, known: Mapping[str, Alert]) -> None:
        now_ms, links = self._now_ms(), [MeterLink(*link) for link in self._links(vehicle.device_id)]
        meters = [self._find_device(meter_id) for meter_id in {link.meter_id for link in links}]
        grid_ms = max(one.expected_interval_ms for one in (vehicle, *meters) if one is not None)
        grid_ms = max(grid_ms, 1)
        window = session.window(now_ms, grid_ms)
        if window is None:
            return
        parts = whole_intervals(meters_by_window(window, links), grid_ms)
        if not parts and session.pause_ms is None:
            # Its charger may be linked to it later.
            return
        try:
            for part in parts:
                self._judge(vehicle, await self._report.of(vehicle.device_id, part, _QUESTION_SECONDS), known)
        except* MeshError as unknown:
            reasons = [getattr(one, "reason", "") for one in unknown.exceptions]
            _log.warning("efficiency_not_known", device_id=vehicle.device_id, reasons=reasons)
            self._sessions.not_judged(session, now_ms)
        else:
            self._sessions.done(session, now_ms)

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
