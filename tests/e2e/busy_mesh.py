"""A mesh in which a little of everything happens, for tests of what is measured of it."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import islice
from typing import Any

import grpc
from energy.analytics.v1.analytics_service_pb2 import SetRegionCapacityRequest
from energy.billing.v1.invoice_service_pb2 import ListInvoicesRequest
from energy.billing.v1.price_pb2 import PricePolicy
from energy.billing.v1.tariff_service_pb2 import CreatePricePolicyRequest, ListCurrentPricesRequest
from energy.billing.v1.usage_service_pb2 import SummarizeUsageRequest
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2 import CreateDeviceRequest, GetDeviceRequest
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingsRequest
from google.type.money_pb2 import Money

from common.instants import duration_from_ms, from_ms
from loadgen.fleet import Fleet
from loadgen.fleet_spec import DEFAULT_REGIONS, FleetSpec
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient

REGION = DEFAULT_REGIONS[0]
SECOND_MS, QUARTER_MS, HOUR_MS = 1_000, 900_000, 3_600_000
STEPS_A_ROUND = 5


class BusyMesh:
    """A caller who keeps a mesh at work: round by round a fleet, somebody who asks, and some who get it wrong."""

    def __init__(self, client: MeshClient) -> None:
        self._client = client
        self._fleet = Fleet(FleetSpec(meters=8, vehicles=4, packs=2, seed=11, id_prefix="busy-"))
        self._device_ids = [device.device_id for device in self._fleet.devices()]
        self._start_ms = (now_ms() - 3 * HOUR_MS) // HOUR_MS * HOUR_MS
        self._steps = iter(self._fleet.readings(self._start_ms, self._start_ms + 2 * HOUR_MS))

    async def begin(self) -> None:
        """Makes devices, a region's capacity and its prices known."""
        await self._client.register(self._fleet)
        for device_id, kind in (
            ("busy-loud", device_pb2.DEVICE_KIND_METER),
            ("busy-hot", device_pb2.DEVICE_KIND_STORAGE),
        ):
            device = device_pb2.Device(
                device_id=device_id, kind=kind, account_id="busy", region=REGION, time_zone="UTC", connection_kw=10
            )
            await self._client.registry.CreateDevice(CreateDeviceRequest(device=device), timeout=CALL_SECONDS)
        capacity = SetRegionCapacityRequest(region=REGION, capacity_kw=100, actor="test")
        await self._client.analytics.SetRegionCapacity(capacity, timeout=CALL_SECONDS)
        policy = PricePolicy(
            region=REGION,
            start_time=from_ms(self._start_ms // QUARTER_MS * QUARTER_MS),
            base_price_per_kwh=Money(currency_code="INR", units=5),
            author="test",
        )
        await self._client.tariffs.CreatePricePolicy(CreatePricePolicyRequest(policy=policy), timeout=CALL_SECONDS)

    async def round(self) -> None:
        """Some minutes of the fleet, what is alarming, what is refused, and questions."""
        await self._client.stream(islice(self._steps, STEPS_A_ROUND))
        await self._send(
            _reading("busy-loud", meter=MeterMeasurement(power_kw=50)),
            _reading("busy-hot", storage=StorageMeasurement(temperature_celsius=70)),
            _reading("busy-nobody", meter=MeterMeasurement(import_kwh=1)),
        )
        asked = SummarizeUsageRequest(
            device_ids=self._device_ids[:1],
            start_time=from_ms(self._start_ms - HOUR_MS),
            end_time=from_ms(self._start_ms),
        )
        for _ in range(2):
            await self._client.usage.SummarizeUsage(asked, timeout=CALL_SECONDS)
        prices = ListCurrentPricesRequest()
        await self._client.tariffs.ListCurrentPrices(prices, timeout=CALL_SECONDS)
        await self._client.invoices.ListInvoices(ListInvoicesRequest(), timeout=CALL_SECONDS)
        with suppress(grpc.aio.AioRpcError):
            await self._client.registry.GetDevice(GetDeviceRequest(device_id="busy-nobody"), timeout=CALL_SECONDS)

    async def _send(self, *readings: Reading) -> None:
        await self._client.telemetry.SendReadings(SendReadingsRequest(readings=readings), timeout=CALL_SECONDS)


def now_ms() -> int:
    """The clock of devices."""
    return time.time_ns() // 1_000_000


def _reading(device_id: str, **measurement: Any) -> Reading:
    return Reading(
        device_id=device_id,
        start_time=from_ms(now_ms() - SECOND_MS),
        interval=duration_from_ms(SECOND_MS),
        **measurement,
    )
