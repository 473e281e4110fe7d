"""Which days of a device no bill stands on any more that is still to be made: their quarter-hours may be let go."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from energy.registry.v1.device_pb2 import DEVICE_KIND_METER

from billing.cold.day_notice_store import Day
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.log.schema import DAY_MS
from billing.tariffs.device_registry import RegisteredDevice
from billing.tariffs.tariff_store import TariffStore
from common.local_time import local_day_of

# A bill looks back at most twelve of its months: so long after a day one may still rest on it.
LOOKED_BACK_DAYS = 366
_ONE_DAY = timedelta(days=1)


class BilledDays(NamedTuple):
    """The local days [start_date, end_date) of an issued invoice."""

    start_date: date
    end_date: date


class SettledDays:
    """Asks what invoices of an account are issued."""

    def __init__(self, invoices: AccountInvoiceStore, tariffs: TariffStore, due: AdjustmentDueStore) -> None:
        self._invoices = invoices
        self._tariffs = tariffs
        self._due = due

    async def among(self, device: RegisteredDevice, days_ms: Sequence[int]) -> list[int]:
        """Those of some UTC days of a device, by their starts in epoch milliseconds and by time, that are settled.

        Such is a day of which every local day it overlaps, and each in which a bill may begin that looks back at it, is
        billed by an issued invoice, and that no adjustment waits for. Of meters to which no tariff was ever assigned,
        of vehicles and of batteries no bill is made.

        Raises:
            pymongo.errors.PyMongoError: the store failed.
        """
        if device.kind != DEVICE_KIND_METER or not days_ms or not await self._tariffs.assignments(device):
            return list(days_ms)
        zone = ZoneInfo(device.time_zone)
        local = {
            at_ms: (local_day_of(at_ms, zone).day, local_day_of(at_ms + DAY_MS - 1, zone).day) for at_ms in days_ms
        }
        billed = await self._billed(device.account_id, local[days_ms[0]][0], _last_look(local[days_ms[-1]][1]))
        return [
            at_ms
            for at_ms, (first, last) in local.items()
            if is_billed_throughout(billed, first, _last_look(last)) and not await self._is_due(device.device_id, at_ms)
        ]

    async def _billed(self, account_id: str, first: date, last: date) -> list[BilledDays]:
        ids = await self._invoices.issued_around(account_id, first, last)
        found = [await self._invoices.find(invoice_id) for invoice_id in ids]
        return [BilledDays(one.start_date, one.end_date) for one in found if one is not None and not one.is_given_up]

    async def _is_due(self, device_id: str, day_start_ms: int) -> bool:
        found = await self._due.page(device_id, Day(device_id, day_start_ms - 1), 1)
        return any(due.day == Day(device_id, day_start_ms) for due in found)


def is_billed_throughout(billed: Iterable[BilledDays], first: date, last: date) -> bool:
    """Whether every local day from `first` to `last`, both included, is one of an invoice."""
    reached = first
    for one in sorted(billed):
        if one.start_date > reached:
            break
        reached = max(reached, one.end_date)
    return reached > last


def _last_look(day: date) -> date:
    return day + LOOKED_BACK_DAYS * _ONE_DAY
