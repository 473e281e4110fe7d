"""Who has which tariff, and what was billed by it in a span of days."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time

from energy.billing.v1 import revenue_pb2
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER

from billing.invoices.revenue_codec import SpanOfDays, added_up, tariff_message
from billing.invoices.revenue_store import Grouping, RevenueSpan, RevenueStore
from billing.tariffs.device_registry import DeviceRegistry
from billing.tariffs.tariff import Tariff
from billing.tariffs.tariff_assignment import scopes_of
from billing.tariffs.tariff_holders import Holders, holders
from billing.tariffs.tariff_store import TariffStore
from common.instants import datetime_to_ms


class TariffAnalytics:
    """Puts together what assignments, the registry and issued invoices say; `clock` is now, UTC milliseconds."""

    def __init__(
        self, *, tariffs: TariffStore, registry: DeviceRegistry, revenue: RevenueStore, clock: Callable[[], int]
    ) -> None:
        self._tariffs = tariffs
        self._registry = registry
        self._revenue = revenue
        self._clock = clock

    async def of(self, tariffs: Sequence[Tariff], days: SpanOfDays) -> list[revenue_pb2.TariffRevenue]:
        """The messages of some tariffs, in their order."""
        if not tariffs:
            return []
        now_ms = self._clock()
        span = RevenueSpan(days.start_date, days.start_date, days.end_date, now_ms)
        ids = [tariff.tariff_id for tariff in tariffs]
        # A tariff has one currency, so one group each.
        sums = await self._revenue.sums(span, Grouping.TARIFF, None, len(ids), ids)
        billed = {place.group: added_up(list(by_month.values())) for place, by_month in sums}
        end_ms = datetime_to_ms(datetime.combine(days.end_date, time(), UTC))
        held = await self._held(min(now_ms + 1, end_ms))
        nothing = added_up([])
        return [
            tariff_message(
                tariff.tariff_id,
                tariff.currency_code,
                billed.get(tariff.tariff_id, nothing),
                held.get(tariff.tariff_id, Holders()),
            )
            for tariff in tariffs
        ]

    async def _held(self, before_ms: int) -> dict[str, Holders]:
        latest = await self._tariffs.latest(before_ms)
        meters = [
            (one.device_id, one.account_id, scopes_of(one.device_id, one.site_id, one.group_ids))
            for one in self._registry.devices()
            if one.kind == DEVICE_KIND_METER
        ]
        # A hundred thousand meters are long enough to keep readings waiting for the log.
        return await asyncio.to_thread(holders, meters, latest)
