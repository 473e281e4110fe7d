"""What devices did on each local day, or in each local month, added up by date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from analytics.usage.measured_energy import Window
from analytics.usage.period_totals import PeriodTotals, totals_of
from analytics.usage.period_usage import DatedTotals


@dataclass(frozen=True, slots=True)
class Row:
    """What devices did on a local day or in a local month, by the clock of each."""

    day: date
    totals: PeriodTotals


def rows_of(dated: Iterable[DatedTotals], device_count: int) -> list[Row]:
    """The days that have a reading, by date; a row lasts from the first start to the last end of its parts."""
    by_date: dict[date, list[DatedTotals]] = {}
    for one in dated:
        by_date.setdefault(one.day, []).append(one)
    return [
        Row(
            day,
            totals_of(
                Window(min(one.part.start_ms for one in some), max(one.part.end_ms for one in some)),
                device_count,
                [one.device for one in some],
            ),
        )
        for day, some in sorted(by_date.items())
    ]
