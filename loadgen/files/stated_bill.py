"""What a file of usage says of money by itself: the bills that were made of it, and what its intervals cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class StatedBill:
    """A bill over [start_ms, end_ms), UTC milliseconds; what the file does not say is None.

    `additional` are charges that the file names besides, of which it does not say whether the amount has them in it.
    """

    amount: Decimal
    start_ms: int | None = None
    end_ms: int | None = None
    additional: Decimal | None = None
    energy_kwh: Decimal | None = None
    currency_code: str | None = None
    tariff: str | None = None


@dataclass(slots=True)
class Statements:
    """All that a file says; a cost is that of the interval that starts then, by start in UTC milliseconds."""

    bills: list[StatedBill] = field(default_factory=list)
    costs: list[tuple[int, Decimal]] = field(default_factory=list)
    cost_currency_code: str | None = None

    def costs_between(self, start_ms: int | None, end_ms: int | None) -> list[Decimal]:
        """The costs of the intervals that start in [start_ms, end_ms); None is no limit."""
        return [
            cost
            for at_ms, cost in self.costs
            if (start_ms is None or start_ms <= at_ms) and (end_ms is None or at_ms < end_ms)
        ]
