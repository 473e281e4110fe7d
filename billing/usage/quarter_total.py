"""What meters used together in each quarter-hour, from what each used in it: exact in energy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from billing.cold.usage_sum import Usage
from billing.log.schema import HOUR_MS, QUARTER_MS
from common.energy import milliwatt_hours


@dataclass(slots=True)
class QuarterTotal:
    """A quarter-hour of some meters from `start_ms` on, epoch milliseconds.

    `by_power_...` is the energy of meters that told their power only, by the sign of each. `covered_ms` adds up how
    long readings covered of it, at most all of it for each meter.
    """

    start_ms: int
    import_milliwatt_hours: int = 0
    export_milliwatt_hours: int = 0
    by_power_import_milliwatt_hours: int = 0
    by_power_export_milliwatt_hours: int = 0
    meter_count: int = 0
    covered_ms: int = 0

    def add(self, usage: Usage) -> None:
        """Adds what one more meter used in it."""
        imported = usage.energies.get("import_milliwatt_hours")
        exported = usage.energies.get("export_milliwatt_hours")
        self.import_milliwatt_hours += imported or 0
        self.export_milliwatt_hours += exported or 0
        if imported is None and exported is None and usage.mean_power_kw is not None:
            net = milliwatt_hours(usage.mean_power_kw * usage.covered_ms / HOUR_MS)
            self.by_power_import_milliwatt_hours += max(net, 0)
            self.by_power_export_milliwatt_hours += max(-net, 0)
        self.meter_count += usage.reading_count > 0
        self.covered_ms += min(usage.covered_ms, QUARTER_MS)


class QuarterTotals:
    """Adds meters up over the quarter-hours that lie whole in [start_ms, end_ms), epoch milliseconds."""

    def __init__(self, start_ms: int, end_ms: int) -> None:
        first_ms, last_ms = -(-start_ms // QUARTER_MS) * QUARTER_MS, end_ms // QUARTER_MS * QUARTER_MS
        self.starts_ms = range(first_ms, last_ms, QUARTER_MS)
        self._totals: dict[int, QuarterTotal] = {}

    def add(self, start_ms: int, usage: Usage) -> None:
        """Adds what one meter used in a quarter-hour; one that is not among those is left out."""
        if start_ms in self.starts_ms:
            self._totals.setdefault(start_ms, QuarterTotal(start_ms)).add(usage)

    def totals(self) -> Iterator[QuarterTotal]:
        """The quarter-hours in which a meter has a reading, by time."""
        for start_ms in sorted(self._totals):
            yield self._totals[start_ms]
