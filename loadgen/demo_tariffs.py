"""The two price lists of the demonstration, and which meter has which."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import grpc
from energy.billing.v1.tariff_pb2 import (
    FlatPricing,
    Tariff,
    TariffAssignment,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from energy.billing.v1.tariff_service_pb2 import AssignmentCorrection, AssignTariffRequest, CreateTariffRequest
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceStub
from google.type.decimal_pb2 import Decimal as DecimalMessage

from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.instants import from_ms
from common.money import from_decimal
from loadgen.registration import in_parallel

TIME_OF_USE_ID = "demo-time-of-use"
FLAT_ID = "demo-flat"

CURRENCY = "INR"
PEAK, OFF_PEAK = "peak", "off-peak"
PEAK_HOURS = range(17, 22)
PRICE_PER_KWH = {PEAK: Decimal("8.50"), OFF_PEAK: Decimal("5.00")}
FLAT_PRICE_PER_KWH = Decimal("6.00")
DAILY_CHARGE = Decimal("3.00")
TAX_PERCENT = Decimal(18)


def time_of_use_tariff() -> Tariff:
    """Dearer from 17 to 22 o'clock of the local clock, every day."""
    window = TimeOfUseWindow(start_minute=PEAK_HOURS.start * 60, end_minute=PEAK_HOURS.stop * 60)
    peak = TimeOfUsePeriod(name=PEAK, price_per_kwh=from_decimal(PRICE_PER_KWH[PEAK], CURRENCY), windows=[window])
    pricing = TimeOfUsePricing(
        periods=[peak], default_name=OFF_PEAK, default_price_per_kwh=from_decimal(PRICE_PER_KWH[OFF_PEAK], CURRENCY)
    )
    tariff = _tariff(TIME_OF_USE_ID, "Demonstration, time of use")
    tariff.time_of_use.CopyFrom(pricing)
    return tariff


def flat_tariff() -> Tariff:
    """One price at any time."""
    tariff = _tariff(FLAT_ID, "Demonstration, flat")
    tariff.flat.CopyFrom(FlatPricing(price_per_kwh=from_decimal(FLAT_PRICE_PER_KWH, CURRENCY)))
    return tariff


async def create_tariffs(billing: grpc.aio.Channel) -> None:
    """Creates both tariffs; those that exist stay.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    tariffs = TariffServiceStub(billing)
    for tariff in (time_of_use_tariff(), flat_tariff()):
        await tariffs.CreateTariff(CreateTariffRequest(tariff=tariff), timeout=UNARY_TIMEOUT_SECONDS)


async def assign_tariff(
    billing: grpc.aio.Channel,
    tariff_id: str,
    device_ids: Iterable[str],
    *,
    start_ms: int,
    correction: AssignmentCorrection | None = None,
) -> None:
    """Prices the devices by the tariff from an instant on; doing it again changes nothing.

    With a correction the tariff takes the place of another one from the same instant on.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    tariffs = TariffServiceStub(billing)
    start_time = from_ms(start_ms)
    await in_parallel(
        tariffs.AssignTariff(
            AssignTariffRequest(
                assignment=TariffAssignment(device_id=device_id, tariff_id=tariff_id, start_time=start_time),
                correction=correction,
            ),
            timeout=UNARY_TIMEOUT_SECONDS,
        )
        for device_id in device_ids
    )


def _tariff(tariff_id: str, display_name: str) -> Tariff:
    return Tariff(
        tariff_id=tariff_id,
        display_name=display_name,
        currency_code=CURRENCY,
        daily_charge=from_decimal(DAILY_CHARGE, CURRENCY),
        tax_percent=DecimalMessage(value=str(TAX_PERCENT)),
    )
