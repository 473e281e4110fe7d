"""Makes drafts of adjustments by itself when days of issued invoices have changed, or the tariff that prices them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from billing.invoices.adjustment_due_store import AdjustmentDueStore, AdjustmentFailure, DueAdjustment
from billing.invoices.invoice_book import InvoiceBook
from billing.invoices.invoice_maker import AWAY, DeviceBillFailed
from billing.invoices.reassigned_periods import ReassignedPeriods
from billing.tariffs.device_registry import RegisteredDevice
from common.errors import DeviceNotFound, MeshError
from common.logs import get_logger

_log = get_logger(__name__)

_IDLE_SECONDS = 2.0
_RETRY_SECONDS = 5.0
_GIVE_WAY_SECONDS = 5.0
_DAYS_A_STEP = 20
_ONE_DAY = timedelta(days=1)


class AdjustmentMetrics:
    """Counters of one task."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.drafted = Counter(
            "billing_adjustments_drafted",
            "Times that an issued invoice was found to need another amount.",
            registry=registry,
        )
        self.failed = Counter(
            "billing_adjustments_failed", "Issued invoices whose bills could not be made again.", registry=registry
        )


class Registry(Protocol):
    """Finds devices."""

    async def find(self, device_id: str) -> RegisteredDevice:
        """The device of an id; raises DeviceNotFound."""


@dataclass(frozen=True, slots=True)
class AdjustmentSweep:
    """Looks at the issued invoices of days that changed, once all that was known then is known here.

    Several at once, killed at any moment, do no harm: an adjustment follows from the readings and what was issued. A
    day of which an invoice cannot be made again stays, with the reason, and is tried again after longer and longer.
    `clock_ms` is now, UTC milliseconds.
    """

    due: AdjustmentDueStore
    book: InvoiceBook
    registry: Registry
    complete_through: Callable[[], int | None]
    give_way: Callable[[float], Awaitable[None]]
    metrics: AdjustmentMetrics
    clock_ms: Callable[[], int]
    reassigned: ReassignedPeriods

    async def run(self) -> None:
        """Works until cancelled; a store or a registry that is away is waited for."""
        while True:
            try:
                if not await self.adjust_due():
                    await asyncio.sleep(_IDLE_SECONDS)
            except (PyMongoError, MeshError) as failure:
                _log.warning("adjustments_postponed", cause=type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def adjust_due(self) -> bool:
        """Some of the days that have changed; False when there is none."""
        is_told = await self.reassigned.tell()
        complete_ms = self.complete_through()
        found = [] if complete_ms is None else await self.due.find(complete_ms, self.clock_ms(), _DAYS_A_STEP)
        for due in found:
            await self.give_way(_GIVE_WAY_SECONDS)
            failure = await self._failure(due)
            if failure is None:
                await self.due.done(due)
            else:
                await self.due.postpone(due, failure, self.clock_ms())
        return is_told or bool(found)

    async def _failure(self, due: DueAdjustment) -> AdjustmentFailure | None:
        """Looks at the invoices of a day; the first failure, if any."""
        try:
            device = await self.registry.find(due.day.device_id)
        except DeviceNotFound:
            return None
        day = datetime.fromtimestamp(due.day.start_ms / 1000, UTC).date()
        failures: list[AdjustmentFailure] = []
        # A day of UTC touches at most the local days beside it.
        for invoice_id in await self.book.store.issued_around(device.account_id, day - _ONE_DAY, day + _ONE_DAY):
            try:
                adjustment = await self.book.adjust(invoice_id)
            except AWAY:
                raise
            except DeviceBillFailed as failed:
                failures.append(self._failed(invoice_id, failed.device_id, failed.reason))
            except MeshError as reason:
                failures.append(self._failed(invoice_id, "", reason))
            else:
                self.metrics.drafted.inc(adjustment is not None)
        return failures[0] if failures else None

    def _failed(self, invoice_id: str, device_id: str, reason: MeshError) -> AdjustmentFailure:
        _log.error("invoice_not_made_again", invoice_id=invoice_id, device_id=device_id, cause=reason.reason)
        self.metrics.failed.inc()
        return AdjustmentFailure(invoice_id, device_id, reason.reason, reason.message)
