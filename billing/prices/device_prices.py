"""What one kWh costs a device: by its tariffs and, where they follow it, by the price of its region."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

from billing.prices.region_price_reader import RegionPriceReader
from billing.tariffs.device_registry import DeviceRegistry
from billing.tariffs.price_timeline import TariffSegment, price_timeline, segment_at, tariffs_in_effect
from billing.tariffs.tariff import DynamicPricing
from billing.tariffs.tariff_store import TariffStore
from common.errors import PriceNotFixed, TariffNotAssigned

HORIZON_MS = 8 * 86_400_000


class DevicePrices:
    """Lays out the prices of a device; every instant is UTC milliseconds."""

    def __init__(self, *, store: TariffStore, registry: DeviceRegistry, region_prices: RegionPriceReader) -> None:
        self._store = store
        self._registry = registry
        self._region_prices = region_prices

    async def timeline(self, device_id: str, start_ms: int, end_ms: int) -> list[TariffSegment]:
        """The prices over [start_ms, end_ms) by time; times without a tariff or a fixed price are left out.

        Raises:
            DeviceNotFound: there is no such device.
            CurrencyMixed: a tariff follows a price in another currency.
        """
        device = await self._registry.find(device_id)
        assignments = await self._store.assignments(device)
        in_effect = tariffs_in_effect(assignments, start_ms, end_ms)
        tariffs = await self._store.tariffs(in_effect)
        lacking = await self._region_prices.for_tariffs(
            tariffs.values(), device.region, start_ms, end_ms, only_fixed=True
        )
        zone = ZoneInfo(device.time_zone)
        return await asyncio.to_thread(
            lambda: price_timeline(assignments, tariffs, zone, start_ms, end_ms, region_prices=lacking)
        )

    async def at(self, device_id: str, instant_ms: int) -> TariffSegment:
        """The price of an instant and how long it holds, as far as eight days around.

        Raises:
            TariffNotAssigned: no tariff is assigned then.
            PriceNotFixed: its tariff follows the price of a region, which is not fixed for that instant.
            Beside them as `timeline`.
        """
        timeline = await self.timeline(device_id, instant_ms - HORIZON_MS, instant_ms + HORIZON_MS)
        segment = segment_at(timeline, instant_ms)
        if segment is not None:
            return segment
        device = await self._registry.find(device_id)
        in_effect = tariffs_in_effect(await self._store.assignments(device), instant_ms, instant_ms + 1)
        for tariff in (await self._store.tariffs(in_effect)).values():
            if isinstance(tariff.pricing, DynamicPricing):
                raise PriceNotFixed(device.region, instant_ms)
        raise TariffNotAssigned(device_id, instant_ms)
