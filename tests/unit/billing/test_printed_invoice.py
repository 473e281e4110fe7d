"""What a printed invoice says, and that nothing a customer has named can change how it is printed."""

from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest
from energy.billing.v1 import invoice_pb2, tariff_pb2
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

from billing.invoices.account_invoice import AccountInvoice, CreditNote, Payment, Stage
from billing.invoices.invoice_html import invoice_html
from billing.invoices.invoice_pdf import invoice_pdf
from billing.invoices.printed_invoice import PrintedInvoice, printed_invoice
from billing.invoices.usage_chart import DayUsage, usage_chart

JUNE_MS = 1_780_272_000_000  # 2026-06-01T00:00Z
EVIL = """<script>alert("x")</script>'\u202e&amp;"""


def money(units: int, nanos: int = 0, currency_code: str = "EUR") -> Money:
    """An amount."""
    return Money(currency_code=currency_code, units=units, nanos=nanos)


def bill(device_id: str = "meter-1") -> bytes:
    """10 kWh at 0.25, taxed with 19 percent."""
    return invoice_pb2.Invoice(
        device_id=device_id,
        time_zone="Europe/Berlin",
        currency_code="EUR",
        lines=[
            invoice_pb2.InvoiceLine(
                description="Energy, flat",
                tariff_id="flat",
                quantity=DecimalMessage(value="10"),
                unit="kWh",
                unit_price=money(0, 250_000_000),
                amount=money(2, 500_000_000),
            )
        ],
        net=money(2, 500_000_000),
        taxes=[
            invoice_pb2.InvoiceTax(
                percent=DecimalMessage(value="19"), base=money(2, 500_000_000), amount=money(0, 480_000_000)
            )
        ],
        total=money(2, 980_000_000),
        reading_count=40,
        estimated_reading_count=3,
        edited_reading_count=2,
        substituted_reading_count=4,
        roundings=[
            invoice_pb2.InvoiceRounding(
                tariff_id="flat", mode=tariff_pb2.ROUNDING_MODE_HALF_UP, level=tariff_pb2.ROUNDING_LEVEL_LINE
            )
        ],
    ).SerializeToString()


DRAFT = AccountInvoice(
    "acc-1", date(2026, 5, 1), date(2026, 6, 1), Stage.DRAFT, "EUR", (bill(),), 250, 48, 298, False, 0, 0
)
ISSUED = replace(DRAFT, stage=Stage.ISSUED, sequence=7, issue_ms=JUNE_MS, due_date=date(2026, 7, 1))
CHART = usage_chart([DayUsage(date(2026, 5, 1), 10_000_000, None, is_estimated=True)])


class Page(HTMLParser):
    """What is on a page: its texts, and every element that was opened."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.opened: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """An element opens."""
        self.opened.append(tag)

    def handle_data(self, data: str) -> None:
        """A text comes."""
        if data.strip():
            self.texts.append(data.strip())


def printed(invoice: AccountInvoice) -> PrintedInvoice:
    """What is printed of an invoice, with a chart of one day."""
    return printed_invoice(invoice, CHART)


def test_an_issued_invoice_says_what_is_owed_and_why() -> None:
    """Number, dates, lines, taxes and how it was rounded."""
    texts = Page(invoice_html(printed(ISSUED))).texts

    for said in ("Invoice INV-00000007", "Issued", "2026-05-01 to 2026-05-31", "2026-07-01", "Energy, flat", "10 kWh"):
        assert said in texts
    for said in ("0.25 EUR", "2.50 EUR", "Tax 19 % on 2.50 EUR", "0.48 EUR", "2.98 EUR", "To be paid"):
        assert said in texts
    assert "By flat each line is rounded half up." in texts
    assert "3 of 40 readings are estimates." in texts
    assert "4 of 40 readings stand for what could not be measured." in texts
    assert "2 of 40 readings were edited by hand." in texts


def test_where_the_tax_of_all_meters_is_not_the_sum_of_their_taxes_that_is_said() -> None:
    """19 % of 5.00 are 0.95, and of 2.50 twice 0.48."""
    both = replace(ISSUED, bills=(bill("a"), bill("b")), net_coins=500, tax_coins=95, total_coins=595)
    note = "The tax of a rate is on the sum of all meters, and is rounded once; it is not the sum of their taxes."

    assert note in printed(both).notes
    assert note not in printed(replace(both, tax_coins=96, total_coins=596)).notes


@pytest.mark.parametrize(
    ("invoice", "state", "is_final", "balance"),
    [
        (DRAFT, "Draft, not an invoice yet", False, ("To be paid", "2.98 EUR")),
        (replace(DRAFT, stage=Stage.DISCARDED), "Discarded draft", False, ("To be paid", "2.98 EUR")),
        (ISSUED, "Issued", True, ("To be paid", "2.98 EUR")),
        (
            replace(ISSUED, payments=(Payment("p-1", 100, "", JUNE_MS),)),
            "Partially paid",
            True,
            ("To be paid", "1.98 EUR"),
        ),
        (
            replace(ISSUED, credit_notes=(CreditNote("c-1", 298, "moved", JUNE_MS),)),
            "Void",
            False,
            ("To be paid", "0.00 EUR"),
        ),
        (
            replace(ISSUED, adjustment=1, total_coins=-50, net_coins=-42, tax_coins=-8),
            "Issued",
            True,
            ("To be paid back", "0.50 EUR"),
        ),
    ],
    ids=["draft", "discarded", "issued", "partially paid", "void", "adjustment"],
)
def test_the_state_is_plain_to_see(
    invoice: AccountInvoice, state: str, is_final: bool, balance: tuple[str, str]
) -> None:
    """Nobody takes a draft for an invoice."""
    found = printed(invoice)

    assert (found.state, found.is_final, found.balance) == (state, is_final, balance)
    assert state in Page(invoice_html(found)).texts


def test_an_adjustment_says_what_it_adjusts() -> None:
    """And that its lines are those of the whole period."""
    texts = Page(invoice_html(printed(replace(ISSUED, adjustment=1, total_coins=-50)))).texts

    assert "Adjustment 1 INV-00000007" in texts
    assert "acc-1@2026-05-01@2026-06-01" in texts
    assert any("difference to what was issued" in text for text in texts)


def test_what_people_have_named_cannot_change_the_page() -> None:
    """It is text, wherever it is shown, and its direction ends with it."""
    page = Page(invoice_html(printed(replace(ISSUED, account_id=EVIL, bills=(bill(EVIL),)))))

    assert "script" not in page.opened
    assert EVIL.replace("\u202e", "[U+202E]") in page.texts
    assert "bdi" in page.opened


def test_two_names_that_look_alike_are_told_apart() -> None:
    """What cannot be seen is written by its number, on the page and in the PDF."""
    one, other = (printed(replace(ISSUED, account_id=name)) for name in ("acc-1", "acc-1\u200b"))

    assert "acc-1[U+200B]" in Page(invoice_html(other)).texts
    assert invoice_pdf(one) != invoice_pdf(other)


def test_a_price_is_written_in_plain_digits() -> None:
    """However small it is."""
    tiny = invoice_pb2.Invoice.FromString(bill())
    tiny.lines[0].unit_price.CopyFrom(money(0, 100))

    page = Page(invoice_html(printed(replace(ISSUED, bills=(tiny.SerializeToString(),)))))

    assert "0.0000001 EUR" in page.texts


def test_the_coins_of_a_currency_decide_how_many_places_an_amount_has() -> None:
    """Yen have none."""
    yen = replace(ISSUED, currency_code="JPY", total_coins=1234, bills=())

    assert printed(yen).balance.text == "1234 JPY"


@pytest.mark.parametrize("account_id", ["acc-1", EVIL, "中文", "x" * 128])
def test_a_pdf_is_the_same_bytes_each_time(account_id: str) -> None:
    """No time and nothing made up is in it; what its font does not know is written by its number."""
    found = printed(replace(ISSUED, account_id=account_id, bills=tuple(bill(f"meter-{one}") for one in range(30))))
    first, second = invoice_pdf(found), invoice_pdf(found)

    assert first == second
    assert first.startswith(b"%PDF-")
    assert first.rstrip().endswith(b"%%EOF")
    # Every page and the pages' own object.
    assert first.count(b"/Type /Page") > 3


def test_without_a_chart_it_says_why() -> None:
    """In both."""
    found = printed_invoice(ISSUED, None, "The readings of that time are not kept any more.")

    assert "The readings of that time are not kept any more." in Page(invoice_html(found)).texts
    assert invoice_pdf(found) != invoice_pdf(printed(ISSUED))
