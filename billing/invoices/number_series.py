"""How invoices are numbered: in one series for all, or one for each of some currencies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

INVOICES = "INV"
CREDIT_NOTES = "CRN"


@dataclass(frozen=True, slots=True)
class NumberSeries:
    """The prefix of the numbers of invoices, and that of invoices in some currencies (ISO 4217).

    A prefix is a series: its numbers are counted by themselves, without a gap, whatever currencies have it.
    """

    prefix: str = INVOICES
    by_currency: Mapping[str, str] = field(default_factory=dict)

    def of(self, currency_code: str) -> str:
        """The series that an invoice in a currency is numbered in."""
        return self.by_currency.get(currency_code, self.prefix)


def number_of(sequence: int, series: str) -> str:
    """The number of a place in a series, such as `INV-00000042`."""
    return f"{series}-{sequence:08d}"
