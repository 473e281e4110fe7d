"""Drafts of very many accounts: counted, a few at a time, in memory that does not grow with them."""

import tracemalloc
from collections.abc import Iterator
from datetime import date

from billing.invoices.account_invoice import AccountInvoice, Stage
from billing.invoices.invoice_generation import Progress, generate
from billing.invoices.invoice_maker import AccountPeriod
from common.errors import AccountNotBilled

START, END = date(2026, 1, 1), date(2026, 2, 1)
BILL_BYTES = 10_000


class MadeUpDrafts:
    """Makes a draft of every account but each tenth, which has no meter."""

    async def draft(self, period: AccountPeriod, *, replaces: bool = False) -> AccountInvoice:  # noqa: ARG002
        """A draft with a bill of ten kilobytes."""
        number = int(period.account_id.removeprefix("acc-"))
        if number % 10 == 9:
            raise AccountNotBilled(period.account_id, "has no meter")
        bill = bytes(BILL_BYTES)
        return AccountInvoice(
            period.account_id, START, END, Stage.DRAFT, "EUR", (bill,), 1, 0, 1, is_held=False, create_ms=0, update_ms=0
        )

    async def adjust(self, invoice_id: str) -> AccountInvoice | None:
        """None: nothing is issued."""
        raise AssertionError(invoice_id)


def account_ids(count: int) -> Iterator[str]:
    """So many, one by one."""
    return (f"acc-{number}" for number in range(count))


async def last_of(count: int, told: int) -> Progress:
    """The last report of a run, all others thrown away as a caller does."""
    async for progress in generate(MadeUpDrafts(), account_ids(count), told, START, END):
        last = progress
    return last


async def test_memory_is_flat_in_the_number_of_accounts() -> None:
    """Fifty times as many take at their most hardly more: their drafts alone would be 50 MB, a list of them 320 kB."""
    await last_of(100, 100)
    peaks = []
    for count in (100, 5_000):
        tracemalloc.start()
        last = await last_of(count, count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (last.done_count, last.draft_count, last.failed_count) == (count, count * 9 // 10, count // 10)

    assert peaks[1] < peaks[0] + 20 * BILL_BYTES


async def test_accounts_that_came_meanwhile_are_counted() -> None:
    """No report tells of more that were looked at than are to be."""
    last = await last_of(45, 41)

    assert (last.account_count, last.done_count) == (45, 45)


async def test_reports_tell_up_to_which_account_a_run_has_come() -> None:
    """So that the next one goes on from there: the last of twenty each, and in the end of all."""
    told = [progress.last_account_id async for progress in generate(MadeUpDrafts(), account_ids(45), 45, START, END)]

    assert told == ["acc-19", "acc-39", "acc-44"]


async def test_a_run_of_no_accounts_reports_once() -> None:
    """That it is done."""
    assert await last_of(0, 0) == Progress(0)
