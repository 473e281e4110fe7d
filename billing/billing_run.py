"""Has the invoices of a month drafted, for whoever only starts programs: `python -m billing.billing_run`.

It asks the running service, as anybody may; doing it again changes nothing but drafts that have become old. No call
lasts longer than its connection, so with many accounts there are several, each after the last account of the one
before.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TextIO

import grpc
from energy.billing.v1 import invoice_service_pb2 as pb
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from energy.common.v1.error_reason_pb2 import ErrorReason
from google.type.date_pb2 import Date

from common.errors import reason_of
from common.grpc_client import open_channel

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub

LIMIT_SECONDS = 11 * 3600.0
"""No run takes longer, over all its calls."""

# About ten minutes in all, which is longer than a roll or an election takes.
_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 120.0, 120.0, 180.0)

# The question itself is refused, and would be again.
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}
_COUNTS = ("done_count", "draft_count", "adjusted_count", "held_count", "settled_count", "failed_count")
_LAST_MONTH = 12


def month_of(text: str) -> date:
    """The first day of a month such as `2026-11`.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()


def month_before(day: date) -> date:
    """The first day of the month before a day's."""
    return date(day.year, day.month - 1, 1) if day.month > 1 else date(day.year - 1, _LAST_MONTH, 1)


def month_after(first: date) -> date:
    """The first day of the month after a month's first day."""
    return date(first.year + first.month // _LAST_MONTH, first.month % _LAST_MONTH + 1, 1)


class _Tally:
    """What came of the accounts up to the last one that was looked at, over all calls that it took."""

    def __init__(self, after_account_id: str) -> None:
        self.last_account_id = after_account_id
        self.account_count = 0
        self.counts: Counter[str] = Counter()


async def run(
    address: str, first: date, output: TextIO, *, after_account_id: str = "", pauses: Sequence[float] = _PAUSES_SECONDS
) -> int:
    """Exit code 0 when every account was looked at, whatever became of it; 1 when the service did not do so.

    A run whose call is cut goes on after the last account that it was told of. Between calls it pauses, longer each
    time that there was no progress; when none of `pauses`, in seconds, is left, it is given up.
    """
    tally, waits = _Tally(after_account_id), iter(pauses)
    end = time.monotonic() + LIMIT_SECONDS
    async with open_channel(address) as channel:
        stub: InvoiceServiceAsyncStub = InvoiceServiceStub(channel)
        while True:
            begun_after = tally.last_account_id
            try:
                await _call(stub, _request(first, begun_after), end - time.monotonic(), tally, output)
                break
            except grpc.aio.AioRpcError as failed:
                if tally.last_account_id != begun_after:
                    waits = iter(pauses)
                pause_seconds = None if failed.code() in _REFUSED else next(waits, None)
                reason = f"{failed.code().name} {reason_of(failed) or ''}".rstrip()
                if pause_seconds is None or time.monotonic() + pause_seconds >= end:
                    output.write(f"the run ended early: {reason}{_hint(tally)}\n")
                    return 1
                output.write(f"a call was cut: {reason}; the run goes on{_hint(tally)}\n")
                await asyncio.sleep(pause_seconds)
    counts = tally.counts
    output.write(
        f"{first:%Y-%m}: {counts['done_count']} of {tally.account_count} accounts; {counts['draft_count']} drafts, "
        f"{counts['adjusted_count']} adjusted, {counts['held_count']} held, {counts['settled_count']} settled, "
        f"{counts['failed_count']} without\n"
    )
    return 0 if counts["done_count"] == tally.account_count else 1


async def _call(
    stub: InvoiceServiceAsyncStub,
    request: pb.GenerateInvoicesRequest,
    timeout_seconds: float,
    tally: _Tally,
    output: TextIO,
) -> None:
    # A service of before `last_account_id` does not say where it is, so the next call begins with the first account.
    before = Counter(tally.counts if request.after_account_id else {})
    async for report in stub.GenerateInvoices(request, timeout=timeout_seconds, wait_for_ready=True):
        for failure in report.failures:
            reason = ErrorReason.Name(failure.reason).removeprefix("ERROR_REASON_")
            output.write(f"no draft of {failure.account_id}: {reason} {failure.device_id}\n")
        # At once, for the next report may never come.
        tally.account_count = before["done_count"] + report.account_count
        tally.counts = before + Counter({name: getattr(report, name) for name in _COUNTS})
        tally.last_account_id = report.last_account_id or request.after_account_id


def _request(first: date, after_account_id: str) -> pb.GenerateInvoicesRequest:
    after = month_after(first)
    return pb.GenerateInvoicesRequest(
        start_date=Date(year=first.year, month=first.month, day=1),
        end_date=Date(year=after.year, month=after.month, day=1),
        after_account_id=after_account_id,
    )


def _hint(tally: _Tally) -> str:
    return f" after {tally.last_account_id}" if tally.last_account_id else ""


def main(arguments: Sequence[str], today: date) -> int:
    """Runs it; without a month it is the one before today's."""
    parser = argparse.ArgumentParser(prog="python -m billing.billing_run")
    parser.add_argument("address", help="billing, host:port or dns:///name:port")
    parser.add_argument("--month", type=month_of, default=month_before(today), help="such as 2026-11")
    parser.add_argument("--after", metavar="ACCOUNT_ID", default="", help="only accounts after this one")
    given = parser.parse_args(arguments)
    return asyncio.run(run(given.address, given.month, sys.stdout, after_account_id=given.after))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], datetime.now(UTC).date()))
