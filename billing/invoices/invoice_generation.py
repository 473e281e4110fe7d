"""Makes the drafts of a period for many accounts, a few at a time, and counts what came of them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Protocol

from billing.invoices.account_invoice import AccountInvoice, Stage
from billing.invoices.invoice_maker import AWAY, AccountPeriod, DeviceBillFailed
from common.errors import MeshError

_AT_ONCE = 4
# So many accounts an answer, at most; an operator wants to see it move.
_ACCOUNTS_A_REPORT = 20


class Drafts(Protocol):
    """Makes drafts of invoices and of adjustments."""

    async def draft(self, period: AccountPeriod, *, replaces: bool = False) -> AccountInvoice:
        """The invoice of an account and period; raises as `InvoiceBook.draft` does."""

    async def adjust(self, invoice_id: str) -> AccountInvoice | None:
        """The adjustment of an issued invoice, if there is to be one; raises as `InvoiceBook.adjust` does."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an account got no draft; `device_id` is empty when it is not one of its bills."""

    account_id: str
    device_id: str
    reason: MeshError


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the drafts of a period have come, and the failures since the report before.

    Every account up to `last_account_id` was looked at; it is empty while none was.
    """

    account_count: int
    done_count: int = 0
    draft_count: int = 0
    settled_count: int = 0
    held_count: int = 0
    failed_count: int = 0
    adjusted_count: int = 0
    failures: tuple[Failure, ...] = ()
    last_account_id: str = ""


@dataclass(frozen=True, slots=True)
class _Outcome:
    is_settled: bool = False
    is_held: bool = False
    is_adjusted: bool = False
    failure: Failure | None = None


async def generate(
    book: Drafts,
    account_ids: Iterable[str],
    account_count: int,
    start_date: date,
    end_date: date,
    *,
    replaces: bool = False,
) -> AsyncIterator[Progress]:
    """Makes the drafts of some accounts over local days [start_date, end_date); reports at least once.

    With `replaces` those whose invoice was given up get a new one.

    Raises:
        ExceptionGroup: the store (PyMongoError) or what bills rest on (DependencyUnavailable) is away; doing it again
            goes on.
    """
    waiting = iter(account_ids)
    progress = Progress(account_count)
    while some := list(islice(waiting, _ACCOUNTS_A_REPORT)):
        periods = [AccountPeriod(account_id, start_date, end_date) for account_id in some]
        outcomes = [outcome async for outcome in _outcomes(book, periods, replaces=replaces)]
        progress = replace(_added(progress, outcomes), last_account_id=some[-1])
        yield progress
    if not progress.done_count:
        yield progress


async def _outcomes(book: Drafts, periods: Iterable[AccountPeriod], *, replaces: bool) -> AsyncIterator[_Outcome]:
    for some in _batches(periods):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_outcome(book, period, replaces=replaces)) for period in some]
        for task in tasks:
            yield task.result()


def _batches(periods: Iterable[AccountPeriod]) -> Iterator[list[AccountPeriod]]:
    waiting = iter(periods)
    while some := list(islice(waiting, _AT_ONCE)):
        yield some


async def _outcome(book: Drafts, period: AccountPeriod, *, replaces: bool) -> _Outcome:
    try:
        invoice = await book.draft(period, replaces=replaces)
        is_issued = invoice.stage is Stage.ISSUED
        is_adjusted = is_issued and await book.adjust(invoice.invoice_id) is not None
    except AWAY:
        raise
    except DeviceBillFailed as failed:
        return _Outcome(failure=Failure(period.account_id, failed.device_id, failed.reason))
    except MeshError as reason:
        return _Outcome(failure=Failure(period.account_id, "", reason))
    is_draft = invoice.stage is Stage.DRAFT
    return _Outcome(is_settled=not is_draft, is_held=is_draft and invoice.is_held, is_adjusted=is_adjusted)


def _added(progress: Progress, outcomes: list[_Outcome]) -> Progress:
    failures = tuple(outcome.failure for outcome in outcomes if outcome.failure)
    settled = sum(outcome.is_settled for outcome in outcomes)
    return Progress(
        # Accounts that came meanwhile are done with, too.
        account_count=max(progress.account_count, progress.done_count + len(outcomes)),
        done_count=progress.done_count + len(outcomes),
        draft_count=progress.draft_count + len(outcomes) - settled - len(failures),
        settled_count=progress.settled_count + settled,
        held_count=progress.held_count + sum(outcome.is_held for outcome in outcomes),
        failed_count=progress.failed_count + len(failures),
        adjusted_count=progress.adjusted_count + sum(outcome.is_adjusted for outcome in outcomes),
        failures=failures,
    )
