"""What went through the grid connection of a site beside what is measured behind it, in whole milliwatt-hours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from analytics.usage.measured_energy import Window

COVERED_SHARE_MINIMUM = 0.99


class SiteRole(StrEnum):
    """Where a device stands, by the names of the contract."""

    GRID_METER = "GRID_METER"
    CHARGER = "CHARGER"
    STORAGE = "STORAGE"
    OTHER_METER = "OTHER_METER"


class BalanceState(StrEnum):
    """What can be said of a residual, by the names of the contract."""

    BALANCED = "BALANCED"
    UNEXPLAINED = "UNEXPLAINED"
    DATA_ERROR = "DATA_ERROR"
    INCOMPLETE = "INCOMPLETE"
    NO_DATA = "NO_DATA"


@dataclass(frozen=True, slots=True)
class SiteMember:
    """A device of a site as the registry has it; `is_linked`: to a vehicle, at some time of the window."""

    device_id: str
    is_storage: bool
    is_linked: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class SiteDevice:
    """What a device of a site did; None stands for what was not measured."""

    device_id: str
    role: SiteRole
    is_active: bool
    reading_count: int
    covered_share: float
    in_milliwatt_hours: int | None
    out_milliwatt_hours: int | None

    @property
    def net_milliwatt_hours(self) -> int | None:
        """What flowed in less what flowed out."""
        if self.in_milliwatt_hours is None and self.out_milliwatt_hours is None:
            return None
        return (self.in_milliwatt_hours or 0) - (self.out_milliwatt_hours or 0)

    @property
    def is_missing(self) -> bool:
        """Whether readings of it are missing; one that is not in operation may be silent."""
        return self.covered_share < COVERED_SHARE_MINIMUM and (self.is_active or self.reading_count > 0)


@dataclass(frozen=True, slots=True)
class SiteBalance:
    """The balance of a site; energies are milliwatt-hours, None stands for what is not known."""

    window: Window
    grid_in: int | None
    grid_out: int | None
    chargers: int | None
    other_meters: int | None
    storage: int | None
    residual: int | None
    residual_percent: float | None
    state: BalanceState
    devices: Sequence[SiteDevice]
    missing: Sequence[str]


def roles(members: Iterable[SiteMember], grid_meter_ids: Collection[str]) -> dict[str, SiteRole] | None:
    """Where each device stands, by id; None where it cannot be known which meters are those of the connection.

    None are named: a meter without a vehicle is that of the connection if it is the only one.
    """
    known = list(members)
    grid = set(grid_meter_ids)
    if not grid:
        grid = {one.device_id for one in known if not one.is_storage and not one.is_linked}
        if len(grid) != 1:
            return None
    return {one.device_id: _role(one, grid) for one in known}


def site_balance(window: Window, devices: Iterable[SiteDevice], tolerance_percent: float) -> SiteBalance:
    """Puts the connection beside what is behind it."""
    some = sorted(devices, key=lambda device: device.device_id)
    grid = [device for device in some if device.role is SiteRole.GRID_METER]
    # One meter of two says nothing of the connection.
    is_known = bool(grid) and all(device.net_milliwatt_hours is not None for device in grid)
    nets = {role: _sum(one.net_milliwatt_hours for one in some if one.role is role) for role in SiteRole}
    behind = sum(net or 0 for role, net in nets.items() if role is not SiteRole.GRID_METER)
    residual = (nets[SiteRole.GRID_METER] or 0) - behind if is_known else None
    missing = [device.device_id for device in some if device.is_missing]
    percent = None if residual is None else _percent(residual, _supplied(some))
    return SiteBalance(
        window=window,
        grid_in=_sum(device.in_milliwatt_hours for device in grid) if is_known else None,
        grid_out=_sum(device.out_milliwatt_hours for device in grid) if is_known else None,
        chargers=nets[SiteRole.CHARGER],
        other_meters=nets[SiteRole.OTHER_METER],
        storage=nets[SiteRole.STORAGE],
        residual=residual,
        residual_percent=percent,
        state=_state(residual, percent, tolerance_percent, has_missing=bool(missing)),
        devices=some,
        missing=missing,
    )


def _role(member: SiteMember, grid: Collection[str]) -> SiteRole:
    if member.device_id in grid:
        return SiteRole.GRID_METER
    if member.is_storage:
        return SiteRole.STORAGE
    return SiteRole.CHARGER if member.is_linked else SiteRole.OTHER_METER


def _supplied(devices: Iterable[SiteDevice]) -> int:
    """What the site had: out of the grid, and out of what is behind the connection."""
    return sum(
        (device.in_milliwatt_hours if device.role is SiteRole.GRID_METER else device.out_milliwatt_hours) or 0
        for device in devices
    )


def _state(residual: int | None, percent: float | None, tolerance_percent: float, *, has_missing: bool) -> BalanceState:
    if residual is None:
        return BalanceState.NO_DATA
    if has_missing:
        return BalanceState.INCOMPLETE
    # Of nothing there is no share: then a residual is either nothing, too, or wrong.
    beyond = residual if percent is None else max(abs(percent) - tolerance_percent, 0) * residual
    if not beyond:
        return BalanceState.BALANCED
    return BalanceState.UNEXPLAINED if beyond > 0 else BalanceState.DATA_ERROR


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _sum(energies: Iterable[int | None]) -> int | None:
    known = [energy for energy in energies if energy is not None]
    return sum(known) if known else None
