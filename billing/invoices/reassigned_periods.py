"""Finds the invoices that an assignment of a tariff in the past concerns, and has them looked at."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from billing.cold.day import day_of
from billing.cold.day_notice_store import Day
from billing.invoices.account_invoice_store import AccountInvoiceStore, InvoicedPeriod
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.log.schema import HOUR_MS, METER
from billing.tariffs.device_registry import RegisteredDevice
from billing.tariffs.tariff_assignment import AssignmentVersion, TariffAssignment, counting
from billing.tariffs.tariff_store import TariffStore
from common.errors import DeviceNotFound
from common.instants import datetime_to_ms
from common.local_time import wall_clock

_ASSIGNMENTS_A_STEP = 20
# Longer than any call that issues an invoice has time.
_ISSUED_WITHIN_MS = HOUR_MS


class Registry(Protocol):
    """Finds devices."""

    @property
    def is_complete(self) -> bool:
        """Whether every device there is has been heard of."""

    async def find(self, device_id: str) -> RegisteredDevice:
        """The device of an id; raises DeviceNotFound."""

    def devices(self) -> Iterable[RegisteredDevice]:
        """Every device that is known here."""


class ReassignedPeriods:
    """Has the invoices looked at whose tariff was changed for a time that was over already.

    An assignment is kept together with the mark that nobody has looked at it yet, and loses it once the days are told:
    who is killed in between, and others at the same time, tell the same days again, which changes nothing.
    """

    def __init__(
        self, *, tariffs: TariffStore, invoices: AccountInvoiceStore, due: AdjustmentDueStore, registry: Registry
    ) -> None:
        self._tariffs = tariffs
        self._invoices = invoices
        self._due = due
        self._registry = registry

    async def tell(self) -> bool:
        """Tells a day of each invoice that some assignments concern; False when none waits.

        Raises:
            pymongo.errors.PyMongoError: the store failed; telling again is safe.
            DependencyUnavailable: a device is not known here, and the registry is away.
        """
        waiting = [
            one
            for one in await self._tariffs.unsettled(_ASSIGNMENTS_A_STEP)
            if one.assignment.device_id or self._registry.is_complete
        ]
        for version in waiting:
            end_ms = await self._end_ms(version)
            for device in await self._devices(version.assignment):
                await self._tell(device, version, end_ms)
            await self._tariffs.settle(version)
        return bool(waiting)

    async def _end_ms(self, version: AssignmentVersion) -> int:
        """Until when an assignment may count: the next one of the same scope, or when it was said; epoch ms."""
        start_ms = version.assignment.start_ms
        known = counting(await self._tariffs.versions(version.assignment.scope))
        return min((one.start_ms for one in known if one.start_ms > start_ms), default=version.create_ms)

    async def _devices(self, assignment: TariffAssignment) -> list[RegisteredDevice]:
        if not assignment.device_id:
            return list(devices_of(assignment, self._registry.devices()))
        try:
            return [await self._registry.find(assignment.device_id)]
        except DeviceNotFound:
            return []

    async def _tell(self, device: RegisteredDevice, version: AssignmentVersion, end_ms: int) -> None:
        zone = ZoneInfo(device.time_zone)
        first, last = wall_clock(version.assignment.start_ms, zone).day, wall_clock(end_ms - 1, zone).day
        for invoiced in await self._invoices.around(device.account_id, first, last):
            day = Day(device.device_id, _day_between(invoiced, first, last))
            # One that is about to be issued may have been made before.
            wait_ms = 0 if invoiced.is_issued else _ISSUED_WITHIN_MS
            await self._due.tell(METER, day, version.create_ms + wait_ms)


def devices_of(assignment: TariffAssignment, devices: Iterable[RegisteredDevice]) -> Iterator[RegisteredDevice]:
    """Those of some devices that the assignment to a site or a group may concern."""
    site_id, group_id = assignment.site_id, assignment.group_id
    return (
        device
        for device in devices
        if (site_id and device.site_id == site_id) or (group_id and group_id in device.group_ids)
    )


def _day_between(invoiced: InvoicedPeriod, first: date, last: date) -> int:
    """The start of a day in the middle of what an invoice rests on and of [first, last]: no other is near it."""
    first, last = max(first, invoiced.first_day), min(last, invoiced.last_day)
    middle = first + max(last - first, timedelta()) // 2
    return day_of(datetime_to_ms(datetime(middle.year, middle.month, middle.day, tzinfo=UTC)))
