"""How many bills a second billing makes, beside how many times a second it reads the usage that they rest on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from energy.billing.v1.tariff_pb2 import FlatPricing, Tariff
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceStub
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import datetime_from_ms, from_ms
from loadgen.bench.row import Aim, Row
from tests.bench_store.made_day import DAY_MS

_AT_ONCE = 4


async def bills_row(
    billing: Any, device_ids: Sequence[str], day_ms: int, read: Callable[[str], Awaitable[object]]
) -> Row:
    """Bills of a day of some devices a second; `read` asks for the usage of one of them for that day."""
    await _assign(billing, device_ids, day_ms)
    invoices = InvoiceServiceStub(billing)
    days = [datetime_from_ms(day_ms + offset_ms).date() for offset_ms in (0, DAY_MS)]
    first, after = (Date(year=day.year, month=day.month, day=day.day) for day in days)

    async def bill(device_id: str) -> None:
        request = PreviewInvoiceRequest(device_id=device_id, start_date=first, end_date=after)
        await invoices.PreviewInvoice(request, timeout=SLOW_TIMEOUT_SECONDS)

    read_a_second = await _a_second(read, device_ids)
    made_a_second = await _a_second(bill, device_ids)
    return Row(
        "bills_made",
        made_a_second,
        "bills/s",
        {"usage_read": read_a_second},
        aim=Aim(least_ratio=0.5),
        details={"devices": len(device_ids)},
    )


async def _assign(billing: Any, device_ids: Sequence[str], start_ms: int) -> None:
    tariffs = TariffServiceStub(billing)
    tariff = Tariff(
        tariff_id="bench-flat",
        currency_code="USD",
        flat=FlatPricing(price_per_kwh=Money(currency_code="USD", nanos=200_000_000)),
    )
    await tariffs.CreateTariff(CreateTariffRequest(tariff=tariff), timeout=SLOW_TIMEOUT_SECONDS)
    for device_id in device_ids:
        request = AssignTariffRequest()
        request.assignment.device_id, request.assignment.tariff_id = device_id, tariff.tariff_id
        request.assignment.start_time.CopyFrom(from_ms(start_ms))
        await tariffs.AssignTariff(request, timeout=SLOW_TIMEOUT_SECONDS)


async def _a_second(ask: Callable[[str], Awaitable[object]], device_ids: Sequence[str]) -> float:
    waiting = iter(device_ids)

    async def one_after_another() -> None:
        for device_id in waiting:
            await ask(device_id)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one_after_another())
    return len(device_ids) / (time.perf_counter() - began)
