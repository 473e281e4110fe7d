"""What an earlier release has stored is read as it was meant: documents made by its own code, kept as it wrote them.

`readings_without_quality` was written before readings said where they come from, `books_without_traces` before the log
carried traces. A field that is added later has to be absent there, and a change that cannot read them is one that every
installation has to be told of.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

from billing.cold.span import Span
from billing.cold.span_document import from_document as span_from_document
from billing.invoices.account_invoice import AccountInvoice, CreditNote, Payment, Stage
from billing.invoices.account_invoice_document import from_document as invoice_from_document
from billing.log.kind_columns import LoggedReading
from billing.log.observation import SpanKey
from billing.log.schema import KINDS
from billing.log.segment import Segment, of_devices
from billing.log.segment_document import from_document as segment_from_document
from billing.tariffs.tariff import Tariff, TimeOfUsePeriod, TimeOfUsePricing, TimeOfUseWindow
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.tariff_document import assignment_from_document, tariff_from_document
from gateway.device import Device, DeviceKind, DeviceState
from gateway.device_document import device_from_document
from gateway.vehicle_link import VehicleLink

START_MS = 1_772_323_200_000
MINUTE_MS = 60_000


def stored(name: str) -> Any:
    """The documents of a file, by what they are of, with the types of the store."""
    text = (Path(__file__).parent / f"{name}.json").read_text()
    return json_util.loads(text, json_options=json_util.JSONOptions(tz_aware=True))


@pytest.fixture(scope="module")
def readings() -> Any:
    """A segment of readings of each kind, and the spans that they were folded into."""
    return stored("readings_without_quality")


@pytest.fixture(scope="module")
def books() -> Any:
    """A device, a tariff, an assignment and an issued invoice."""
    return stored("books_without_traces")


def expected_segment(readings: Any) -> Segment:
    """Today's segment of the readings that went into the file's, a corrected one among them."""
    logged = [
        LoggedReading._make([*fields[:-1], KINDS[fields[0]].padded(fields[-1]), 0]) for fields in readings["readings"]
    ]
    times = (START_MS + 9 * MINUTE_MS, START_MS + 10 * MINUTE_MS)
    return Segment.of("b-1", 1, "writer-1", 7, *times, logged)


def test_a_logged_batch_is_read_with_every_reading_and_without_a_trace(readings: Any) -> None:
    """All of them as measured."""
    found, wanted = segment_from_document(readings["segment"]), expected_segment(readings)
    devices = [f"{kind}-1" for kind in KINDS]

    assert of_devices([found], devices) == of_devices([wanted], devices)
    assert found.reading_count == wanted.reading_count == 10
    assert (found.batch_id, found.partition, found.writer, found.sequence) == ("b-1", 1, "writer-1", 7)
    assert (found.create_ms, found.record_ms, found.traceparent) == (wanted.create_ms, wanted.record_ms, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_cold_document_is_read_with_what_was_superseded(readings: Any, kind: str) -> None:
    """As folding the same readings gives it today."""
    wanted = Span()
    wanted.fold(of_devices([expected_segment(readings)], [f"{kind}-1"])[SpanKey(kind, f"{kind}-1", START_MS)])

    key, found = span_from_document(KINDS[kind], readings[kind])

    assert key == SpanKey(kind, f"{kind}-1", START_MS)
    assert found.in_order() == wanted.in_order()
    assert found.superseded_in_order() == wanted.superseded_in_order()
    assert len(wanted.superseded_in_order()) == (kind == "meter")


def test_a_registered_device_is_read(books: Any) -> None:
    """With the link of its vehicle."""
    assert device_from_document(books["device"]) == Device(
        device_id="meter-1",
        kind=DeviceKind.METER,
        account_id="acc-1",
        region="Pune-East",
        time_zone="Asia/Kolkata",
        site_id="site-1",
        group_ids=("g-1",),
        connection_kw=7.5,
        register_digits=6,
        state=DeviceState.ACTIVE,
        links=(VehicleLink("vehicle-1", "meter-1", START_MS, None),),
        create_time_ms=START_MS,
        update_time_ms=START_MS + 1,
        version=3,
    )


def test_a_tariff_and_its_assignment_are_read_to_the_coin(books: Any) -> None:
    """Prices are decimals, not the nearest binary number."""
    window = TimeOfUseWindow(frozenset({0, 1}), 18 * 60, 22 * 60)
    pricing = TimeOfUsePricing((TimeOfUsePeriod("peak", Decimal("8.00"), (window,)),), "off-peak", Decimal("4.00"))

    assert tariff_from_document(books["tariff"]) == (
        Tariff("tou", "Evenings", "INR", pricing, Decimal(10), Decimal(18)),
        START_MS,
    )
    version = assignment_from_document(books["assignment"])
    assert (version.assignment, version.number) == (TariffAssignment("meter-1", "tou", START_MS), 1)


def test_an_issued_invoice_is_read_with_what_was_paid_and_credited(books: Any) -> None:
    """Its bills bit for bit."""
    assert invoice_from_document(books["invoice"]) == AccountInvoice(
        account_id="acc-1",
        start_date=date(2026, 2, 1),
        end_date=date(2026, 3, 1),
        stage=Stage.ISSUED,
        currency_code="INR",
        bills=(b"bill",),
        net_coins=10_000,
        tax_coins=1_800,
        total_coins=11_800,
        is_held=False,
        create_ms=START_MS,
        update_ms=START_MS + 5,
        version=4,
        sequence=7,
        issue_ms=START_MS + 3,
        due_date=date(2026, 4, 1),
        time_zone="Asia/Kolkata",
        device_ids=("meter-1",),
        payments=(Payment("p-1", 5_000, "", START_MS + 4),),
        credit_notes=(CreditNote("c-1", 800, "goodwill", START_MS + 5),),
        # As far back as any tariff looks, for it did not say.
        history_start_date=date(2025, 2, 1),
    )
