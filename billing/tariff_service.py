"""Answers questions about prices: keeps tariffs, assigns them, and says what a reading would cost per kWh."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

import asyncio
from collections.abc import Callable

from energy.billing.v1.tariff_service_pb2 import (
    AssignTariffRequest,
    AssignTariffResponse,
    CancelTariffAssignmentRequest,
    CancelTariffAssignmentResponse,
    CreateTariffRequest,
    CreateTariffResponse,
    EstimateCostRequest,
    EstimateCostResponse,
    GetCurrentPriceRequest,
    GetCurrentPriceResponse,
    GetTariffAnalyticsRequest,
    GetTariffAnalyticsResponse,
    GetTariffRequest,
    GetTariffResponse,
    ListTariffAssignmentsRequest,
    ListTariffAssignmentsResponse,
    ListTariffsRequest,
    ListTariffsResponse,
)

from billing.invoices.assignment_codec import (
    correction_of,
    required_correction,
    scope_of,
    version_message,
    version_messages,
)
from billing.invoices.bill_maker import BillMaker
from billing.invoices.cost_estimate import estimate, even_period, even_quarters
from billing.invoices.estimate_codec import estimate_answer, estimate_question
from billing.invoices.invoice_codec import Knowledge, PreviewQuestion
from billing.invoices.reassigned_periods import devices_of
from billing.invoices.revenue_codec import span_of_days
from billing.invoices.revenue_store import RevenueStore
from billing.invoices.tariff_analytics import TariffAnalytics
from billing.price_methods import PriceMethods, RegionPricing
from billing.prices.device_prices import HORIZON_MS, DevicePrices
from billing.tariffs.device_registry import DeviceRegistry
from billing.tariffs.price_codec import price_answer, price_question
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_codec import (
    assignment_from_message,
    assignment_message,
    refuse,
    tariff_from_message,
    tariff_message,
)
from billing.tariffs.tariff_store import TariffStore
from billing.tariffs.tariff_validation import id_violations
from billing.usage.answers import Answers
from common.errors import PageTokenInvalid
from common.paging import decode_token, encode_token, page_size
from common.rpc_guard import Context

_PAGE_DEFAULT = 100
_PAGE_MAXIMUM = 1000


class TariffService(PriceMethods):
    """Translates between the contract and the tariffs at rest; `clock` gives now in UTC milliseconds."""

    def __init__(
        self,
        *,
        store: TariffStore,
        registry: DeviceRegistry,
        bills: BillMaker,
        pricing: RegionPricing,
        answers: Answers,
        revenue: RevenueStore,
        clock: Callable[[], int],
    ) -> None:
        device_prices = DevicePrices(store=store, registry=registry, region_prices=pricing.reader)
        super().__init__(pricing=pricing, device_prices=device_prices, clock=clock)
        self._store = store
        self._bills = bills
        self._registry = registry
        self._price_cache = pricing.cache
        self._answers = answers
        self._analytics = TariffAnalytics(tariffs=store, registry=registry, revenue=revenue, clock=clock)

    async def CreateTariff(self, request: CreateTariffRequest, context: Context) -> CreateTariffResponse:
        """Keeps a tariff that breaks no rule."""
        kept, create_time_ms = await self._store.create(tariff_from_message(request.tariff), self._clock())
        return CreateTariffResponse(tariff=tariff_message(kept, create_time_ms))

    async def GetTariff(self, request: GetTariffRequest, context: Context) -> GetTariffResponse:
        """Finds a tariff by its id."""
        refuse(id_violations("tariff_id", request.tariff_id))
        kept, create_time_ms = await self._store.get(request.tariff_id)
        return GetTariffResponse(tariff=tariff_message(kept, create_time_ms))

    async def ListTariffs(self, request: ListTariffsRequest, context: Context) -> ListTariffsResponse:
        """Lists tariffs by id."""
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        after = (decode_token(request.page_token, {}) or {"after": ""}).get("after")
        if not isinstance(after, str):
            raise PageTokenInvalid
        found = await self._store.page(after, size + 1)
        page = found[:size]
        more = encode_token({"after": page[-1][0].tariff_id}, {}) if len(found) > size else ""
        return ListTariffsResponse(tariffs=[tariff_message(*one) for one in page], next_page_token=more)

    async def EstimateCost(self, request: EstimateCostRequest, context: Context) -> EstimateCostResponse:
        """Prices the same usage by several tariffs."""
        question = estimate_question(request)
        tariffs = [(await self._store.get(tariff_id))[0] for tariff_id in question.tariff_ids]
        if question.device_id:
            asked = PreviewQuestion(question.device_id, question.start_date, question.end_date)
            return estimate_answer(await self._bills.estimate(asked, tariffs))
        period = even_period(question.start_date, question.end_date, question.time_zone)
        quarters = even_quarters(period, question.milliwatt_hours)
        known = Knowledge(None)
        found = await asyncio.to_thread(lambda: [estimate(period, quarters, 0, tariff, known) for tariff in tariffs])
        return estimate_answer(found)

    async def GetTariffAnalytics(
        self, request: GetTariffAnalyticsRequest, context: Context
    ) -> GetTariffAnalyticsResponse:
        """Tells who has a tariff and what was billed by it."""
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        days = span_of_days(request, list(id_violations("tariff_id", request.tariff_id)) if request.tariff_id else [])
        if request.tariff_id:
            tariff, _ = await self._store.get(request.tariff_id)
            return GetTariffAnalyticsResponse(tariffs=await self._analytics.of([tariff], days))
        filters = {"days": [days.start_date.isoformat(), days.end_date.isoformat()]}
        after = (decode_token(request.page_token, filters) or {"after": ""}).get("after")
        if not isinstance(after, str):
            raise PageTokenInvalid
        found = [tariff for tariff, _ in await self._store.page(after, size + 1)]
        page = found[:size]
        more = encode_token({"after": page[-1].tariff_id}, filters) if len(found) > size else ""
        return GetTariffAnalyticsResponse(tariffs=await self._analytics.of(page, days), next_page_token=more)

    async def AssignTariff(self, request: AssignTariffRequest, context: Context) -> AssignTariffResponse:
        """Assigns a tariff that exists to a device that exists, or to a site or a group."""
        assignment = assignment_from_message(request.assignment)
        if assignment.device_id:
            await self._registry.find(assignment.device_id)
        if assignment.tariff_id:
            await self._store.get(assignment.tariff_id)
        await self._store.assign(assignment, self._clock(), correction_of(request))
        await self._forget_answers(assignment)
        return AssignTariffResponse(assignment=assignment_message(assignment))

    async def CancelTariffAssignment(
        self, request: CancelTariffAssignmentRequest, context: Context
    ) -> CancelTariffAssignmentResponse:
        """Takes an assignment back; it stays on record."""
        assignment, correction = assignment_from_message(request.assignment), required_correction(request)
        version = await self._store.cancel(assignment, self._clock(), correction)
        await self._forget_answers(assignment)
        return CancelTariffAssignmentResponse(version=version_message(version, superseded=False))

    async def ListTariffAssignments(
        self, request: ListTariffAssignmentsRequest, context: Context
    ) -> ListTariffAssignmentsResponse:
        """Lists all that was ever assigned to a device, site or group."""
        scope = scope_of(request)
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        filters = {"scope": scope}
        after = (decode_token(request.page_token, filters) or {"after": [-1, 0]}).get("after")
        if not isinstance(after, list):
            raise PageTokenInvalid
        found = version_messages(await self._store.versions(scope))
        left = [(place, message) for place, message in found if place > tuple(after)]
        more = encode_token({"after": left[size - 1][0]}, filters) if len(left) > size else ""
        versions = [message for _, message in left[:size]]
        return ListTariffAssignmentsResponse(versions=versions, next_page_token=more)

    async def GetCurrentPrice(self, request: GetCurrentPriceRequest, context: Context) -> GetCurrentPriceResponse:
        """Finds the price of an instant and the span in which it holds."""
        now_ms = self._clock()
        device_id, instant_ms = price_question(request, now_ms)
        if instant_ms != now_ms:
            segment = await self._device_prices.at(device_id, instant_ms)
            return price_answer(segment, instant_ms + HORIZON_MS)
        kept, word = await self._price_cache.find(device_id)
        if kept is not None:
            return GetCurrentPriceResponse.FromString(kept)
        segment = await self._device_prices.at(device_id, instant_ms)
        answer = price_answer(segment, instant_ms + HORIZON_MS)
        await self._price_cache.put(device_id, word, answer.SerializeToString(), segment.end_ms - instant_ms)
        return answer

    async def _forget_answers(self, assignment: TariffAssignment) -> None:
        concerned = self._priced_by(assignment)
        await self._price_cache.drop(concerned)
        await self._answers.end(concerned)

    def _priced_by(self, assignment: TariffAssignment) -> list[str]:
        """The devices that an assignment may concern, as far as they are known here."""
        if assignment.device_id:
            return [assignment.device_id]
        return [device.device_id for device in devices_of(assignment, self._registry.devices())]
