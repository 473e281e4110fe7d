"""Makes the bill of a device of the readings on record: which days, whose prices, what it comes to."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol
from zoneinfo import ZoneInfo

from energy.billing.v1 import invoice_pb2
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DeviceKind

from billing.cold.quarantined_period import QuarantinedPeriod
from billing.invoices.bill_basis import BillBasis
from billing.invoices.bill_hold import HoldLimits
from billing.invoices.cost_estimate import Estimate, estimate
from billing.invoices.explanation import ExplainedInterval, explain
from billing.invoices.invoice import BilledPeriod
from billing.invoices.invoice_codec import Knowledge, PreviewQuestion, invoice_message
from billing.invoices.meter_part import has_no_part
from billing.log.schema import DAY_MS
from billing.prices.region_price_reader import RegionPriceReader
from billing.tariffs.billing_month import months_before
from billing.tariffs.device_registry import DeviceRegistry, RegisteredDevice
from billing.tariffs.dynamic_pricing import RegionPrices
from billing.tariffs.price_timeline import tariffs_in_effect
from billing.tariffs.rated_line import Quarter
from billing.tariffs.tariff import Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_store import TariffStore
from common.errors import FieldViolation, InvalidArgument
from common.local_time import local_midnight_ms


class QuarterReader(Protocol):
    """Reads what a device used."""

    async def quarters(
        self, device_id: str, start_ms: int, end_ms: int, as_of_ms: int | None = None
    ) -> Sequence[Quarter]:
        """The quarter-hours in [start_ms, end_ms), UTC milliseconds, in which a reading of the device starts.

        With `as_of_ms` of the readings recorded at or before that instant.
        """


class QuarantineReader(Protocol):
    """Knows of which times readings are set aside."""

    async def periods(
        self, device_ids: Sequence[str], start_ms: int, end_ms: int, as_of_ms: int | None = None
    ) -> frozenset[QuarantinedPeriod]:
        """Those of some devices that overlap [start_ms, end_ms), UTC milliseconds; of what was logged by an instant."""


class Completeness(Protocol):
    """Knows up to which instant the log is complete."""

    @property
    def latest_ms(self) -> int | None:
        """Every reading acked before this instant, epoch milliseconds, is in the log; None: not known."""

    async def lowered(self, instant_ms: int) -> int:
        """The instant, or the one up to which the log is complete if that is earlier."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A bill, the tariff of one of its lines, and the quarter-hours behind it, as of an instant, epoch milliseconds."""

    bill: invoice_pb2.Invoice
    tariff: Tariff
    intervals: Sequence[ExplainedInterval]
    as_of_ms: int | None


class BillMaker:
    """Makes bills and keeps nothing."""

    def __init__(
        self,
        *,
        store: TariffStore,
        registry: DeviceRegistry,
        quarters: QuarterReader,
        quarantine: QuarantineReader,
        complete_through: Completeness,
        region_prices: RegionPriceReader,
        hold_limits: HoldLimits,
    ) -> None:
        self._store = store
        self._hold_limits = hold_limits
        self._complete_through = complete_through
        self._region_prices = region_prices
        self._registry = registry
        self._quarters = quarters
        self._quarantine = quarantine

    async def make(self, question: PreviewQuestion) -> invoice_pb2.Invoice:
        """The bill that is asked for.

        Raises:
            DeviceNotFound: there is no such device.
            InvalidArgument: it is no meter.
            NoReadings, TariffNotAssigned, IntervalCrossesPrice, PriceNotFixed, CurrencyMixed: there is no bill of the
                period.
        """
        return await self._bill(await self._basis(question, await self._meter(question.device_id)))

    async def make_of_account(self, question: PreviewQuestion) -> invoice_pb2.Invoice | None:
        """The bill that is asked for; None of a meter that has no part in the period. Raises as `make` does."""
        meter = await self._meter(question.device_id)
        basis = await self._basis(question, meter)
        period = basis.period
        if not basis.has_energy and has_no_part(meter, period.start_ms, period.end_ms, has_tariff=basis.has_tariff):
            return None
        return await self._bill(basis)

    async def _bill(self, basis: BillBasis) -> invoice_pb2.Invoice:
        # A year has 35 000 quarter-hours: long enough to keep readings waiting for the log.
        invoice = await asyncio.to_thread(lambda: basis.invoice(basis.rated_months(), self._hold_limits))
        return invoice_message(basis.period, invoice, basis.knowledge)

    async def _knowledge(self, question: PreviewQuestion) -> Knowledge:
        """To be asked before the readings of the bill, so that it holds of all of them."""
        if question.as_of_ms is None:
            return Knowledge(self._complete_through.latest_ms, None, question.tariffs_as_of_ms)
        as_of_ms = await self._complete_through.lowered(question.as_of_ms)
        # What came later is not in the bill; and asked again, it is the same to the last bit.
        return Knowledge(as_of_ms, as_of_ms, question.tariffs_as_of_ms)

    async def estimate(self, question: PreviewQuestion, tariffs: Sequence[Tariff]) -> list[Estimate]:
        """What the usage of a device would have come to by each of some tariffs, had it always been assigned.

        Raises:
            DeviceNotFound, InvalidArgument: as `make`.
        """
        device = await self._meter(question.device_id)
        period = _period(device, question)
        history_months = max((tariff.history_months for tariff in tariffs), default=0)
        knowledge = await self._knowledge(question)
        quarters = await self._history(period, history_months, None)
        prices = await self._prices(tariffs, device.region, period, history_months)
        rating = partial(estimate, period, quarters, history_months, region_prices=prices)
        return await asyncio.to_thread(lambda: [rating(tariff, knowledge) for tariff in tariffs])

    async def explain(self, question: PreviewQuestion, line_index: int) -> Explanation:
        """A line of the bill that is asked for, and the quarter-hours behind it.

        Raises:
            InvalidArgument: the bill has no such line. Beside it as `make`.
        """
        basis = await self._basis(question, await self._meter(question.device_id))
        period, knowledge = basis.period, basis.knowledge

        def explained() -> Explanation:
            rated = basis.rated_months()
            invoice = basis.invoice(rated, self._hold_limits)
            if not 0 <= line_index < len(invoice.lines):
                allowed = f"must be a line of the bill, 0 to {len(invoice.lines) - 1}"
                raise InvalidArgument([FieldViolation("line_index", "OUT_OF_RANGE", allowed)])
            line = invoice.lines[line_index].rated
            message = invoice_message(period, invoice, knowledge)
            return Explanation(message, line.tariff, explain(rated, period.start_date, line), knowledge.as_of_ms)

        return await asyncio.to_thread(explained)

    async def _meter(self, device_id: str) -> RegisteredDevice:
        device = await self._registry.find(device_id)
        _require_meter(device)
        return device

    async def _basis(self, question: PreviewQuestion, device: RegisteredDevice) -> BillBasis:
        period, knowledge = _period(device, question), await self._knowledge(question)
        assignments, knowledge = await self._assignments(device, knowledge)
        tariffs = await self._store.tariffs(assignment.tariff_id for assignment in assignments)
        in_effect = tariffs_in_effect(assignments, period.start_ms, period.end_ms)
        history_months = max((tariffs[tariff_id].history_months for tariff_id in in_effect), default=0)
        whole = ([period.device_id], period.start_ms, period.end_ms, knowledge.as_of_ms)
        aside = await self._quarantine.periods(*whole)
        quarters = await self._history(period, history_months, knowledge.as_of_ms)
        aside |= await self._quarantine.periods(*whole)
        prices = await self._prices(tariffs.values(), device.region, period, history_months)
        return BillBasis(period, knowledge, assignments, tariffs, quarters, history_months, prices, aside)

    async def _assignments(
        self, device: RegisteredDevice, knowledge: Knowledge
    ) -> tuple[list[TariffAssignment], Knowledge]:
        """The assignments that count, and what is known, without an instant of theirs that tells nothing new.

        Readings are known up to where the log is complete, but an assignment as soon as it was made.
        """
        as_of_ms, later_ms = knowledge.as_of_ms, knowledge.tariffs_as_of_ms
        known = await self._store.assignments(device, as_of_ms)
        if as_of_ms is None or later_ms is None:
            return known, replace(knowledge, tariffs_as_of_ms=None)
        found = await self._store.assignments(device, later_ms)
        return found, replace(knowledge, tariffs_as_of_ms=None if found == known else later_ms)

    async def _prices(self, tariffs: Iterable[Tariff], region: str, period: BilledPeriod, months: int) -> RegionPrices:
        """The prices of a region in a period, so many billing months before it, and as long after as readings reach."""
        start_ms = local_midnight_ms(months_before(period.start_date, months), ZoneInfo(period.time_zone))
        return await self._region_prices.for_tariffs(tariffs, region, max(0, start_ms), period.end_ms + DAY_MS)

    async def _history(self, period: BilledPeriod, months: int, as_of_ms: int | None) -> Sequence[Quarter]:
        """The quarter-hours of a period and of so many billing months before it."""
        start_ms = local_midnight_ms(months_before(period.start_date, months), ZoneInfo(period.time_zone))
        # A period may begin in the first year that bills know; before it there are no readings.
        return await self._quarters.quarters(period.device_id, max(0, start_ms), period.end_ms, as_of_ms)


def _period(device: RegisteredDevice, question: PreviewQuestion) -> BilledPeriod:
    zone = ZoneInfo(device.time_zone)
    return BilledPeriod(
        account_id=device.account_id,
        device_id=device.device_id,
        start_date=question.start_date,
        end_date=question.end_date,
        start_ms=local_midnight_ms(question.start_date, zone),
        end_ms=local_midnight_ms(question.end_date, zone),
        time_zone=device.time_zone,
    )


def _require_meter(device: RegisteredDevice) -> None:
    if device.kind == DEVICE_KIND_METER:
        return
    kind = DeviceKind.Name(device.kind).removeprefix("DEVICE_KIND_").lower()  # type: ignore[arg-type]
    raise InvalidArgument(
        [FieldViolation("device_id", "KIND_MISMATCH", "must be a meter; vehicles and storage are not billed")],
        metadata={"device_id": device.device_id, "kind": kind},
    )
