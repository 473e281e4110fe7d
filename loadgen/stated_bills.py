"""The bills that a file states, each compared with the mesh's own of the same days."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal

import grpc
from energy.billing.v1.invoice_pb2 import Invoice
from energy.billing.v1.usage_service_pb2 import SummarizeUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub

from common.energy import milliwatt_hours
from common.errors import reason_of
from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import from_ms
from common.money import to_decimal
from loadgen.bill_comparison import ComputedBill, comparison_lines, stated_line
from loadgen.demo_bill import LocalDays
from loadgen.demo_questions import preview_invoice
from loadgen.files.stated_bill import StatedBill
from loadgen.replay import Replay

_MILLIWATT_HOURS_EXPONENT = -6
_MOST_BILLS = 36


async def compared_lines(billing: grpc.aio.Channel, replay: Replay, invoice: Invoice) -> AsyncIterator[str]:
    """What the file says of money, beside what the mesh makes of its readings by the tariff.

    A stated bill is compared with the mesh's of its own days if the file has readings in them, else with that of the
    whole file.

    Raises:
        grpc.aio.AioRpcError: a call failed.
    """
    stated = replay.file.stated
    for bill in stated.bills[:_MOST_BILLS]:
        days = stated_days(bill, invoice.time_zone)
        costs = stated.costs_between(bill.start_ms, bill.end_ms)
        yield stated_line(bill, None if days is None else (days.first, days.end), costs)
        own = invoice
        if days is not None and _overlaps(replay, days):
            try:
                own = await preview_invoice(billing, invoice.device_id, days.first, days.end)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                yield f"  no bill of these days: {reason_of(error)}, {error.details()}"
                continue
        computed = await _computed(billing, replay, own)
        for line in comparison_lines(bill, computed, None if days is None else (days.first, days.end), costs):
            yield line
    if len(stated.bills) > _MOST_BILLS:
        yield f"and {len(stated.bills) - _MOST_BILLS:,} more bills stated in the file, not compared"
    if stated.costs:
        total = sum((cost for _, cost in stated.costs), Decimal(0))
        code = stated.cost_currency_code or "of a currency not named"
        yield f"costs stated for {len(stated.costs):,} intervals of the file: {total.normalize():f} {code}"


def earliest_start_ms(replay: Replay, time_zone: str, start_ms: int) -> int:
    """The earliest start of a stated bill of which the file has readings, or `start_ms` where that is earlier."""
    days = [stated_days(bill, time_zone) for bill in replay.file.stated.bills[:_MOST_BILLS]]
    return min([start_ms, *(each.start_ms for each in days if each and _overlaps(replay, each))])


def stated_days(bill: StatedBill, time_zone: str) -> LocalDays | None:
    """The local days of a bill; None where its period is not one of whole days that can be billed."""
    if bill.start_ms is None or bill.end_ms is None or bill.start_ms >= bill.end_ms:
        return None
    try:
        days = LocalDays.around(bill.start_ms, bill.end_ms, time_zone)
        is_whole = (days.start_ms, days.end_ms) == (bill.start_ms, bill.end_ms)
    except (OverflowError, ValueError):
        return None
    return days if is_whole else None


async def _computed(billing: grpc.aio.Channel, replay: Replay, invoice: Invoice) -> ComputedBill:
    first, end = (date(day.year, day.month, day.day) for day in (invoice.start_date, invoice.end_date))
    days = LocalDays(first, end, invoice.time_zone)
    request = SummarizeUsageRequest(
        device_ids=[invoice.device_id], start_time=from_ms(days.start_ms), end_time=from_ms(days.end_ms)
    )
    usage = await UsageServiceStub(billing).SummarizeUsage(request, timeout=SLOW_TIMEOUT_SECONDS)
    energy = Decimal(milliwatt_hours(usage.total.import_kwh)).scaleb(_MILLIWATT_HOURS_EXPONENT)
    account = replay.account
    # Each by itself: days around both would be cut to the longest bill, and files may reach further.
    reach_first = LocalDays.around(account.start_ms, account.start_ms + 1, invoice.time_zone).first
    reach_end = LocalDays.around(account.end_ms - 1, account.end_ms, invoice.time_zone).end
    is_covered = reach_first <= first and end <= reach_end
    return ComputedBill(
        first,
        end,
        to_decimal(invoice.total),
        invoice.currency_code,
        energy,
        None if is_covered else (reach_first, reach_end),
    )


def _overlaps(replay: Replay, days: LocalDays) -> bool:
    return replay.account.start_ms < days.end_ms and days.start_ms < replay.account.end_ms
