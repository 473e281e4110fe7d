"""Which days of an invoice nobody tells changes of yet when it is issued, for they have only just ended."""

from collections.abc import Iterator

from energy.billing.v1 import invoice_pb2

from billing.cold.day import day_of
from billing.cold.day_notice_store import Day
from billing.invoices.account_invoice import AccountInvoice
from billing.log.schema import DAY_MS, HOUR_MS

# A day's document is made, and changes of it are told, an hour and a half after its end.
_TOLD_AFTER_MS = 2 * HOUR_MS
# Longer than any call has time.
_ISSUED_WITHIN_MS = HOUR_MS


def late_days(invoice: AccountInvoice, now_ms: int) -> Iterator[tuple[Day, int]]:
    """The last days of an invoice that is about to be issued, and when to look at them, UTC milliseconds.

    That is once they have ended in UTC and changes are told, and no sooner than the invoice is issued.
    """
    for bill in map(invoice_pb2.Invoice.FromString, invoice.bills):
        last_day_ms = day_of(bill.end_time.ToMilliseconds() - 1)
        settled_ms = last_day_ms + DAY_MS + _TOLD_AFTER_MS
        if bill.as_of.ToMilliseconds() < settled_ms:
            yield Day(bill.device_id, last_day_ms), max(settled_ms, now_ms + _ISSUED_WITHIN_MS)
