"""Bills on the wire: which one is asked for, and what is answered."""

from datetime import date
from decimal import Decimal

import pytest
from energy.billing.v1 import invoice_pb2
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from billing.invoices.invoice import BilledPeriod, make_invoice
from billing.invoices.invoice_codec import Knowledge, PreviewQuestion, invoice_message, preview_question
from billing.tariffs.rated_line import LineKind, RatedLine
from billing.tariffs.tariff import FlatPricing, Tariff
from common.errors import InvalidArgument

FIRST = Date(year=2026, month=1, day=1)


def violated(request: PreviewInvoiceRequest) -> list[tuple[str, str]]:
    """Path and reason of each violation of a request that is refused."""
    with pytest.raises(InvalidArgument) as refused:
        preview_question(request)
    return [(violation.field, violation.reason) for violation in refused.value.violations]


def test_a_request_names_a_device_and_its_days() -> None:
    """The end is the day after the last."""
    request = PreviewInvoiceRequest(device_id="m-1", start_date=FIRST, end_date=Date(year=2027, month=1, day=2))

    assert preview_question(request) == PreviewQuestion("m-1", date(2026, 1, 1), date(2027, 1, 2))


def test_an_empty_request_says_everything_that_is_required() -> None:
    """All three fields are."""
    assert violated(PreviewInvoiceRequest()) == [
        ("device_id", "FIELD_REQUIRED"),
        ("start_date", "FIELD_REQUIRED"),
        ("end_date", "FIELD_REQUIRED"),
    ]


@pytest.mark.parametrize(
    ("end_date", "reason"),
    [
        (FIRST, "OUT_OF_RANGE"),
        (Date(year=2025, month=12, day=31), "OUT_OF_RANGE"),
        # 367 days.
        (Date(year=2027, month=1, day=3), "OUT_OF_RANGE"),
        (Date(year=2026, month=2, day=29), "INVALID_FORMAT"),
        (Date(year=2026, month=13, day=1), "INVALID_FORMAT"),
        (Date(year=2026, month=1), "INVALID_FORMAT"),
        (Date(month=1, day=2), "INVALID_FORMAT"),
        (Date(year=2**31 - 1, month=1, day=2), "INVALID_FORMAT"),
        (Date(year=1969, month=1, day=2), "OUT_OF_RANGE"),
        (Date(year=9999, month=1, day=2), "OUT_OF_RANGE"),
    ],
)
def test_an_end_that_ends_no_period_is_refused(end_date: Date, reason: str) -> None:
    """Not after the start, too late, or no day of the calendar."""
    request = PreviewInvoiceRequest(device_id="m-1", start_date=FIRST, end_date=end_date)

    assert violated(request) == [("end_date", reason)]


def test_a_bill_is_written_with_exact_amounts() -> None:
    """1.5 kWh at 0.12345678 is 0.185..., so 0.19; two days at 0.50; 18 % of 1.19 is 0.2142, so 0.21."""
    tariff = Tariff("flat", "", "EUR", FlatPricing(Decimal("0.12345678")), Decimal("0.50"), Decimal("18.0"))
    period = BilledPeriod("acc-1", "m-1", date(2026, 1, 1), date(2026, 1, 3), 0, 1_000, "Europe/Berlin")
    invoice = make_invoice(
        [
            RatedLine(LineKind.ENERGY, tariff, "flat", Decimal("0.12345678"), Decimal("1.500000"), 30),
            RatedLine(LineKind.DAILY_CHARGE, tariff, "", Decimal("0.50"), Decimal(2), 0),
        ]
    )

    message = invoice_message(period, invoice, Knowledge(complete_through_ms=7_000, as_of_ms=6_000))

    energy, charge = message.lines
    assert (message.account_id, message.device_id, message.time_zone) == ("acc-1", "m-1", "Europe/Berlin")
    assert (message.start_date, message.end_date) == (FIRST, Date(year=2026, month=1, day=3))
    assert (message.start_time.seconds, message.end_time.seconds) == (0, 1)
    assert (message.complete_through.seconds, message.as_of.seconds) == (7, 6)
    assert (energy.kind, charge.kind) == (
        invoice_pb2.INVOICE_LINE_KIND_ENERGY,
        invoice_pb2.INVOICE_LINE_KIND_DAILY_CHARGE,
    )
    assert (energy.quantity.value, energy.unit, energy.price_name) == ("1.5", "kWh", "flat")
    assert energy.unit_price == Money(currency_code="EUR", nanos=123_456_780)
    assert energy.amount == Money(currency_code="EUR", nanos=190_000_000)
    assert (charge.quantity.value, charge.unit, charge.price_name) == ("2", "day", "")
    assert message.net == Money(currency_code="EUR", units=1, nanos=190_000_000)
    assert [(tax.percent.value, tax.base, tax.amount) for tax in message.taxes] == [
        ("18", message.net, Money(currency_code="EUR", nanos=210_000_000))
    ]
    assert message.tax == message.taxes[0].amount
    assert message.total == Money(currency_code="EUR", units=1, nanos=400_000_000)
    assert (message.reading_count, energy.reading_count, charge.reading_count) == (30, 30, 0)
