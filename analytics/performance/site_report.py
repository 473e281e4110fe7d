"""Who knows the balance of a site: the registry what stands there, billing what it measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy.registry.v1 import device_pb2

from analytics.fleet.device_scope import meters_and_batteries_of
from analytics.performance.performance import MeterLink, meters_by_window
from analytics.performance.scope_request import require_affordable
from analytics.performance.site_balance import SiteBalance, SiteDevice, SiteMember, SiteRole, roles, site_balance
from analytics.usage.measured_energy import Window
from analytics.usage.period_totals import DeviceTotals
from analytics.usage.period_usage import PeriodUsage, TimeRemaining
from common.errors import FieldViolation, InvalidArgument, RequestTooExpensive
from common.registry_cache import CachedDevice, RegistryCache

DEVICES_MAXIMUM = 1000

_METER, _STORAGE = device_pb2.DEVICE_KIND_METER, device_pb2.DEVICE_KIND_STORAGE


@dataclass(frozen=True, slots=True)
class SiteQuestion:
    """A site in a window; `grid_meter_ids` are the meters of its connection, empty where that is to be found out."""

    site_id: str
    window: Window
    grid_meter_ids: Sequence[str]
    tolerance_percent: float


class SiteReport:
    """Answers one question about one site."""

    def __init__(self, registry: RegistryCache, usage: PeriodUsage) -> None:
        self._registry = registry
        self._usage = usage

    async def of(self, question: SiteQuestion, time_remaining: TimeRemaining) -> tuple[SiteBalance, int | None]:
        """The balance of a site, and what that is complete through, UTC milliseconds.

        Raises what `meters_and_batteries_of` does, and what `UsageClient` does, that in an exception group.

        Raises:
            InvalidArgument: a meter that is named is not one of the site, or they have to be named.
            RequestTooExpensive: the site has too many devices, or together they are too many for so many days.
        """
        devices = await meters_and_batteries_of(question.site_id, self._registry)
        if len(devices) > DEVICES_MAXIMUM:
            raise RequestTooExpensive(f"at most {DEVICES_MAXIMUM} meters and batteries of a site")
        require_affordable(len(devices), [question.window])
        found = _roles(devices, question)
        sums = await self._usage.sums(list(found), question.window, time_remaining)
        measured = {one.device_id: one for one in sums.devices}
        balance = site_balance(
            question.window,
            [
                _site_device(device, found[device.device_id], measured.get(device.device_id, _silent(device)))
                for device in devices
            ],
            question.tolerance_percent,
        )
        return balance, sums.complete_through_ms


def _roles(devices: Sequence[CachedDevice], question: SiteQuestion) -> dict[str, SiteRole]:
    meter_ids = {device.device_id for device in devices if device.kind == _METER}
    violations = [
        FieldViolation(f"grid_meter_ids[{place}]", "OUT_OF_RANGE", "must be a meter of the site")
        for place, meter_id in enumerate(question.grid_meter_ids)
        if meter_id not in meter_ids
    ]
    if violations:
        raise InvalidArgument(violations)
    found = roles([_member(device, question.window) for device in devices], question.grid_meter_ids)
    if found is None:
        must = "is required, for not exactly one meter of the site was without a vehicle"
        raise InvalidArgument([FieldViolation("grid_meter_ids", "FIELD_REQUIRED", must)])
    return found


def _member(device: CachedDevice, window: Window) -> SiteMember:
    links = [MeterLink(link.meter_id, link.start_ms, link.end_ms) for link in device.links]
    return SiteMember(
        device.device_id, device.kind == _STORAGE, bool(meters_by_window(window, links)), device.is_active
    )


def _silent(device: CachedDevice) -> DeviceTotals:
    return DeviceTotals(device.device_id, 0, 0.0)


def _site_device(device: CachedDevice, role: SiteRole, measured: DeviceTotals) -> SiteDevice:
    return SiteDevice(
        device_id=device.device_id,
        role=role,
        is_active=device.is_active,
        reading_count=measured.reading_count,
        covered_share=measured.covered_share,
        in_milliwatt_hours=measured.in_milliwatt_hours,
        out_milliwatt_hours=measured.out_milliwatt_hours,
    )
