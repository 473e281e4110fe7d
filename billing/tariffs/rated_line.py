"""What goes into the rating of a period and what comes out of it: quarter-hours of readings, and lines."""

from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from billing.tariffs.tariff import Tariff

# 60 digits hold every sum and product here; one that does not fit raises instead of losing its tail.
EXACT = Context(prec=60, traps=[Inexact])


# A plain tuple: one is made for each quarter-hour of a bill.
ReadingCounts = tuple[int, int, int, int]
"""How many readings something rests on, and how many of them are estimates, edits and substitutes."""

NO_READINGS: ReadingCounts = (0, 0, 0, 0)


class Quarter(NamedTuple):
    """The readings of a device that start in one UTC quarter-hour.

    `start_ms` is the start of the quarter-hour, `last_end_ms` the latest end of its readings, both UTC milliseconds.
    Import and export are None when no reading carries them; `reading_count` counts them all,
    `estimated_reading_count` the estimates, `edited_reading_count` the edits and `substituted_reading_count` the
    substitutes among them. `covered_ms` is the sum of their intervals, milliseconds; None is all of the time up to the
    latest end.
    """

    start_ms: int
    last_end_ms: int
    import_milliwatt_hours: int | None
    reading_count: int
    estimated_reading_count: int = 0
    export_milliwatt_hours: int | None = None
    edited_reading_count: int = 0
    covered_ms: int | None = None
    substituted_reading_count: int = 0

    @property
    def counts(self) -> ReadingCounts:
        """How many readings there are."""
        return (
            self.reading_count,
            self.estimated_reading_count,
            self.edited_reading_count,
            self.substituted_reading_count,
        )

    @property
    def whole_ms(self) -> int:
        """How long its readings are together, milliseconds."""
        return self.last_end_ms - self.start_ms if self.covered_ms is None else self.covered_ms


class LineKind(Enum):
    """What a line of a bill is for."""

    ENERGY = "energy"
    DEMAND = "demand"
    EXPORT = "export"
    EXPORT_NETTED = "export_netted"
    EXPORT_BANK_USED = "export_bank_used"
    EXPORT_BANK_KEPT = "export_bank_kept"
    DAILY_CHARGE = "daily_charge"
    MONTHLY_CHARGE = "monthly_charge"
    MINIMUM_CHARGE = "minimum_charge"
    ROUNDING = "rounding"


_OF_EXPORT = frozenset({LineKind.EXPORT, LineKind.EXPORT_NETTED, LineKind.EXPORT_BANK_USED, LineKind.EXPORT_BANK_KEPT})
_FIXED = frozenset({LineKind.DAILY_CHARGE, LineKind.MONTHLY_CHARGE, LineKind.MINIMUM_CHARGE})


@dataclass(frozen=True, slots=True)
class RatedLine:
    """A quantity and the price of one unit, both exact: kWh, kW of demand, local days or billing months.

    `share` is the part of a billing month that the price is due for. `price_name` is empty and `reading_count` 0 for a
    fixed charge; `tier` counts from 1 and is 0 for a price without steps. `peak_start_ms` is when the demand was
    measured, UTC milliseconds, and `month_start_ms` when the billing month of the line begins, None of a line that is
    of the whole period.
    """

    kind: LineKind
    tariff: Tariff
    price_name: str
    unit_price: Decimal
    quantity: Decimal
    reading_count: int
    estimated_reading_count: int = 0
    tier: int = 0
    share: Fraction = Fraction(1)
    peak_start_ms: int | None = None
    month_start_ms: int | None = None
    edited_reading_count: int = 0
    substituted_reading_count: int = 0

    @property
    def exact_amount(self) -> Fraction:
        """Quantity times unit price times share, before rounding."""
        return Fraction(self.quantity) * Fraction(self.unit_price) * self.share

    @property
    def is_of_export(self) -> bool:
        """Whether it is about energy given to the grid."""
        return self.kind in _OF_EXPORT

    @property
    def tax_percent(self) -> Decimal:
        """The rate of the tax on it."""
        own = None
        if self.is_of_export:
            own = self.tariff.export_tax_percent
        elif self.kind in _FIXED:
            own = self.tariff.fixed_charge_tax_percent
        return self.tariff.tax_percent if own is None else own


def kilowatt_hours(milliwatt_hours: int) -> Decimal:
    """The same energy, or the kilowatts of so many milliwatts."""
    return Decimal(milliwatt_hours).scaleb(-6, context=EXACT)
