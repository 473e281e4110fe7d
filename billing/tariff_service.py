"""Answers questions about prices: keeps tariffs, assigns them, and says what a reading would cost per kWh."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from collections.abc import Callable
from zoneinfo import ZoneInfo

from energy.billing.v1.tariff_service_pb2 import (
    AssignTariffRequest,
    AssignTariffResponse,
    CreateTariffRequest,
    CreateTariffResponse,
    GetCurrentPriceRequest,
    GetCurrentPriceResponse,
    GetTariffRequest,
    GetTariffResponse,
)
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceServicer

from billing.device_registry import DeviceRegistry
from billing.price_codec import price_answer, price_question
from billing.price_timeline import price_timeline, segment_at
from billing.tariff_codec import (
    assignment_from_message,
    assignment_message,
    refuse,
    tariff_from_message,
    tariff_message,
)
from billing.tariff_store import TariffStore
from billing.tariff_validation import id_violations
from common.errors import TariffNotAssigned
from common.rpc_guard import Context

PRICE_HORIZON_MS = 8 * 86_400_000


class TariffService(TariffServiceServicer):
    """Translates between the contract and the tariffs at rest; `clock` gives now in UTC milliseconds."""

    def __init__(self, *, store: TariffStore, registry: DeviceRegistry, clock: Callable[[], int]) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock

    async def CreateTariff(self, request: CreateTariffRequest, context: Context) -> CreateTariffResponse:
        """Keeps a tariff that breaks no rule."""
        kept, create_time_ms = await self._store.create(tariff_from_message(request.tariff), self._clock())
        return CreateTariffResponse(tariff=tariff_message(kept, create_time_ms))

    async def GetTariff(self, request: GetTariffRequest, context: Context) -> GetTariffResponse:
        """Finds a tariff by its id."""
        refuse(id_violations("tariff_id", request.tariff_id))
        kept, create_time_ms = await self._store.get(request.tariff_id)
        return GetTariffResponse(tariff=tariff_message(kept, create_time_ms))

    async def AssignTariff(self, request: AssignTariffRequest, context: Context) -> AssignTariffResponse:
        """Assigns a tariff that exists to a device that exists."""
        assignment = assignment_from_message(request.assignment)
        await self._registry.find(assignment.device_id)
        await self._store.get(assignment.tariff_id)
        await self._store.assign(assignment, self._clock())
        return AssignTariffResponse(assignment=assignment_message(assignment))

    async def GetCurrentPrice(self, request: GetCurrentPriceRequest, context: Context) -> GetCurrentPriceResponse:
        """Finds the price of an instant and the span in which it holds."""
        device_id, instant_ms = price_question(request, self._clock())
        device = await self._registry.find(device_id)
        assignments = await self._store.assignments(device_id)
        tariffs = await self._store.tariffs(assignment.tariff_id for assignment in assignments)
        start_ms, horizon_ms = instant_ms - PRICE_HORIZON_MS, instant_ms + PRICE_HORIZON_MS
        timeline = price_timeline(assignments, tariffs, ZoneInfo(device.time_zone), start_ms, horizon_ms)
        segment = segment_at(timeline, instant_ms)
        if segment is None:
            raise TariffNotAssigned(device_id, instant_ms)
        return price_answer(segment, horizon_ms)
