"""Has the invoices of a month drafted, for whoever only starts programs: `python -m billing.billing_run`.

It asks the running service, as anybody may; doing it again changes nothing but drafts that have become old.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
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

_LIMIT_SECONDS = 6 * 3600.0
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


async def run(address: str, first: date, output: TextIO) -> int:
    """Exit code 0 when every account was looked at, whatever became of it; 1 when the service did not do so."""
    after = month_after(first)
    request = pb.GenerateInvoicesRequest(
        start_date=Date(year=first.year, month=first.month, day=1),
        end_date=Date(year=after.year, month=after.month, day=1),
    )
    last = pb.GenerateInvoicesResponse()
    async with open_channel(address) as channel:
        stub: InvoiceServiceAsyncStub = InvoiceServiceStub(channel)
        try:
            async for last in stub.GenerateInvoices(request, timeout=_LIMIT_SECONDS, wait_for_ready=True):
                for failure in last.failures:
                    reason = ErrorReason.Name(failure.reason).removeprefix("ERROR_REASON_")
                    output.write(f"no draft of {failure.account_id}: {reason} {failure.device_id}\n")
        except grpc.aio.AioRpcError as failed:
            output.write(f"the run ended early: {failed.code().name} {reason_of(failed) or ''}\n")
            return 1
    output.write(
        f"{first:%Y-%m}: {last.done_count} of {last.account_count} accounts; {last.draft_count} drafts, "
        f"{last.adjusted_count} adjusted, {last.held_count} held, {last.settled_count} settled, "
        f"{last.failed_count} without\n"
    )
    return 0 if last.done_count == last.account_count else 1


def main(arguments: Sequence[str], today: date) -> int:
    """Runs it; without a month it is the one before today's."""
    parser = argparse.ArgumentParser(prog="python -m billing.billing_run")
    parser.add_argument("address", help="billing, host:port or dns:///name:port")
    parser.add_argument("--month", type=month_of, default=month_before(today), help="such as 2026-11")
    given = parser.parse_args(arguments)
    return asyncio.run(run(given.address, given.month, sys.stdout))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], datetime.now(UTC).date()))
