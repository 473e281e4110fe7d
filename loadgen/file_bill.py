"""From a file of usage and a file of a tariff to a bill, through the mesh, in one command."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from energy.billing.v1.invoice_pb2 import Invoice
from energy.billing.v1.tariff_pb2 import INTERVAL_CROSSING_SPLIT
from energy.billing.v1.tariff_service_pb2 import AssignmentCorrection, CreateTariffRequest
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceStub
from google.type.money_pb2 import Money

from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.money import to_decimal
from loadgen.commands import Sending, replay_file
from loadgen.connection import connected
from loadgen.demo_bill import LocalDays
from loadgen.demo_questions import Period, preview_invoice, wait_until_stored
from loadgen.demo_tariffs import assign_tariff
from loadgen.files.file_readings import MalformedFile
from loadgen.files.urdb_file import read_urdb
from loadgen.files.urdb_tariff import UrdbChoices, UrdbTariff, urdb_tariff
from loadgen.replay import ReplayedMeter
from loadgen.stated_bills import compared_lines, earliest_start_ms

_ARRIVAL_SECONDS = 60.0
# Whoever bills the same file by another tariff means the newest one; the others stay on record.
_CORRECTION = AssignmentCorrection(actor="loadgen bill", reason="billed again by another tariff")


@dataclass(frozen=True, slots=True)
class TariffFile:
    """A file with a rate of the utility rate database, which of its rates, and what it leaves open.

    An empty `tariff_id` in the choices is made of the rate's label and content, for a tariff never changes.
    """

    path: Path
    choices: UrdbChoices
    label: str | None = None
    split_intervals: bool = False


async def bill_file(usage: Path, tariff_file: TariffFile, meter: ReplayedMeter, sending: Sending, billing: str) -> int:
    """Sends the usage, creates and assigns the tariff, and prints the bill; the exit code: 0 when all went well.

    Raises:
        FileError: one of the files cannot be read or taken.
        MeshAway, GatewayAway, TimeoutError, RegistrationRefused, grpc.aio.AioRpcError: the mesh does not play along.
    """
    found = _tariff(tariff_file)
    replay, exit_code = await replay_file(usage, meter, sending)
    if replay.device is None:
        raise MalformedFile(f"{usage}: there is no reading in it, so there is nothing to bill")
    device_id, account = replay.device.device_id, replay.account
    days = LocalDays.around(account.start_ms, account.end_ms, replay.device.time_zone)
    async with connected("billing", billing) as channel:
        sent = Period([device_id], account.start_ms, account.end_ms)
        await wait_until_stored(channel, [sent], lambda _: account.readings, limit_seconds=_ARRIVAL_SECONDS)
        tariffs = TariffServiceStub(channel)
        await tariffs.CreateTariff(CreateTariffRequest(tariff=found.tariff), timeout=UNARY_TIMEOUT_SECONDS)
        start_ms = earliest_start_ms(replay, days.time_zone, days.start_ms)
        await assign_tariff(channel, found.tariff.tariff_id, [device_id], start_ms=start_ms, correction=_CORRECTION)
        invoice = await preview_invoice(channel, device_id, days.first, days.end)
        found.remarks += found.remarks_on(account.start_ms, account.end_ms)
        lines = [f"tariff {found.tariff.tariff_id}: {found.tariff.display_name}", *bill_lines(found, invoice)]
        lines += [line async for line in compared_lines(channel, replay, invoice)]
    sending.output.write("\n".join(lines) + "\n")
    return exit_code


def _tariff(file: TariffFile) -> UrdbTariff:
    found = urdb_tariff(read_urdb(file.path, file.label), file.choices)
    if file.split_intervals:
        found.tariff.interval_crossing = INTERVAL_CROSSING_SPLIT
    if not file.choices.tariff_id:
        checksum = zlib.crc32(found.tariff.SerializeToString(deterministic=True))
        found.tariff.tariff_id = f"urdb-{checksum:08x}"
    return found


def bill_lines(found: UrdbTariff, invoice: Invoice) -> Iterator[str]:
    """The bill for a person: remarks, a line each, taxes and the total."""
    for remark in found.remarks:
        yield f"  note: {remark}"
    first, after = invoice.start_date, invoice.end_date
    yield (
        f"bill of {invoice.device_id}, {first.year}-{first.month:02}-{first.day:02} up to "
        f"{after.year}-{after.month:02}-{after.day:02} ({invoice.time_zone}), {invoice.reading_count:,} readings"
    )
    for line in invoice.lines:
        part = line.month_share
        share = f" * {part.numerator}/{part.denominator}" if line.HasField("month_share") else ""
        amount = f"{line.quantity.value} {line.unit} * {_text(line.unit_price)}{share}"
        yield f"  {line.description:<42} {amount:>34} {_text(line.amount):>14}"
    for tax in invoice.taxes:
        yield f"  {f'tax {tax.percent.value} % of {_text(tax.base)}':<77} {_text(tax.amount):>14}"
    yield f"  {f'total {invoice.currency_code}':<77} {_text(invoice.total):>14}"


def _text(money: Money) -> str:
    amount = to_decimal(money).normalize()
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount:f}"
