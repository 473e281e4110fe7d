"""How long a month of a business takes to be rated, without any server."""

from __future__ import annotations

import random
import time
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing.invoices.invoice import make_invoice
from billing.tariffs.rated_line import Quarter
from billing.tariffs.rating import rate
from billing.tariffs.tariff import (
    QUARTER_MS,
    DemandCharge,
    PriceStep,
    Tariff,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_assignment import TariffAssignment
from common.local_time import local_midnight_ms
from loadgen.bench.row import Aim, Row
from loadgen.latency import LatencyHistogram

_ZONE = ZoneInfo("America/New_York")
_DAYS = (date(2026, 7, 1), date(2026, 8, 1))
_WEEKDAYS = frozenset(range(5))
_WARM_UP = 3


def rating_row(count: int) -> Row:
    """Usage of a month by quarter-hours, by a tariff with seasons, a holiday, tiers, demand and a monthly charge."""
    made_up = random.Random(1)
    begin_ms, end_ms = (local_midnight_ms(day, _ZONE) for day in _DAYS)
    starts_ms = range(begin_ms, end_ms, QUARTER_MS)
    quarters = [Quarter(start_ms, start_ms + QUARTER_MS, made_up.randrange(600_000), 15) for start_ms in starts_ms]
    histogram = LatencyHistogram()
    for turn in range(_WARM_UP + count):
        began = time.perf_counter()
        _rate(quarters)
        if turn >= _WARM_UP:
            histogram.record((time.perf_counter() - began) * 1000)
    return Row(
        "month_rated_p50",
        histogram.percentile_ms(50),
        "ms",
        aim=Aim(most=5),
        details={"p99": histogram.percentile_ms(99), "samples": histogram.count, "quarter_hours": len(quarters)},
    )


def _rate(quarters: list[Quarter]) -> None:
    tariff = _tariff()
    lines = rate(
        device_id="m-1",
        zone=_ZONE,
        start_date=_DAYS[0],
        end_date=_DAYS[1],
        assignments=[TariffAssignment("m-1", tariff.tariff_id, 0)],
        tariffs={tariff.tariff_id: tariff},
        quarters=quarters,
    )
    make_invoice(lines)


def _tariff() -> Tariff:
    summer = TimeOfUseWindow(_WEEKDAYS, 17 * 60, 21 * 60, frozenset({6, 7, 8, 9}))
    winter = TimeOfUseWindow(_WEEKDAYS, 6 * 60, 9 * 60, frozenset({1, 2, 3, 10, 11, 12}))
    peak = TimeOfUsePeriod("peak", Decimal("0.4"), (summer, winter), (PriceStep(Decimal(500), Decimal("0.45")),))
    day = TimeOfUsePeriod("day", Decimal("0.2"), (TimeOfUseWindow(_WEEKDAYS, 9 * 60, 17 * 60),))
    return Tariff(
        "business",
        "",
        "USD",
        TimeOfUsePricing(
            (peak, day),
            "night",
            Decimal("0.1"),
            frozenset({date(2026, 7, 3)}),
            (PriceStep(Decimal(300), Decimal("0.12")), PriceStep(Decimal(800), Decimal("0.15"))),
        ),
        None,
        Decimal(8),
        monthly_charge=Decimal(20),
        demand_charges=(DemandCharge("any time", Decimal(12)),),
    )
