"""A printed invoice as a PDF: of the same invoice the same bytes, with a font that it carries along."""

import io
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, Literal

import reportlab
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from billing.invoices.printed_invoice import Fact, PrintedBill, PrintedInvoice
from billing.invoices.usage_chart import HEIGHT, WIDTH, UsageChart

_FONT, _BOLD = "Vera", "VeraBd"
_GREY = colors.HexColor("#555555")
_FILLS = {
    "import": colors.HexColor("#2f6f9f"),
    "export": colors.HexColor("#4f8a4c"),
    "estimated": colors.HexColor("#9fbfd6"),
    "gap": colors.HexColor("#f0e6e6"),
}
_LEGEND = "Dark blue: taken from the grid; light blue: with estimates; green: given to it; pale: no reading."
_INNER_WIDTH = A4[0] - 36 * mm


def invoice_pdf(invoice: PrintedInvoice) -> bytes:
    """The document, pages of A4. What the font has no sign for is written by its number, such as U+4E2D."""
    _fonts()
    written = io.BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=invoice.title,
        author="",
        # Neither the time nor anything made up goes into it.
        invariant=1,
    )
    document.build(list(_flow(invoice)), onLaterPages=_numbered, onFirstPage=_numbered)
    return written.getvalue()


def _flow(invoice: PrintedInvoice) -> Sequence[Flowable]:
    small, plain = _style(8, _GREY), _style(9)
    flow: list[Flowable] = [
        _paragraph(invoice.title, _style(17, bold=True)),
        _paragraph(invoice.state, _style(11, None if invoice.is_final else colors.HexColor("#8a1c1c"), bold=True)),
        Spacer(1, 3 * mm),
        _facts(invoice.facts, plain),
    ]
    for bill in invoice.bills:
        flow += [_paragraph(f"Device {bill.device_id}", _style(11, bold=True)), _lines(bill, plain)]
        flow += [_paragraph(note, small) for note in bill.notes]
    flow.append(_paragraph("To pay", _style(11, bold=True)))
    flow.append(_sums([*invoice.sums, *invoice.settlement, invoice.balance], plain))
    flow += [_paragraph(note, small) for note in invoice.notes]
    flow.append(_paragraph("Energy by day, kWh", _style(11, bold=True)))
    if invoice.chart is None:
        flow.append(_paragraph(invoice.chart_note, small))
    else:
        flow += [_drawing(invoice.chart), _paragraph(f"{_LEGEND} {invoice.chart.summary.capitalize()}.", small)]
    return flow


def _facts(facts: Sequence[Fact], style: ParagraphStyle) -> Table:
    rows = [[_paragraph(fact.name, style), _paragraph(fact.text, style)] for fact in facts]
    return Table(rows, colWidths=[32 * mm, _INNER_WIDTH - 32 * mm], style=_table_style(is_ruled=False))


def _lines(bill: PrintedBill, style: ParagraphStyle) -> Table:
    right = ParagraphStyle("right", parent=style, alignment=2)
    heads = ("For", "Quantity", "Price of one", "Amount")
    rows: list[list[Any]] = [[_paragraph(head, right if place else style) for place, head in enumerate(heads)]]
    for line in bill.lines:
        cells = (line.quantity, line.unit_price, line.amount)
        rows.append([_paragraph(line.description, style), *(_paragraph(cell, right) for cell in cells)])
    rows.extend([_paragraph(fact.name, style), "", "", _paragraph(fact.text, right)] for fact in bill.sums)
    spans = [("SPAN", (0, row), (2, row)) for row in range(1 + len(bill.lines), len(rows))]
    widths = [_INNER_WIDTH - 105 * mm, 38 * mm, 35 * mm, 32 * mm]
    return Table(rows, colWidths=widths, repeatRows=1, style=_table_style(*spans))


def _sums(facts: Sequence[Fact], style: ParagraphStyle) -> Table:
    right = ParagraphStyle("right", parent=style, alignment=2)
    rows = [[_paragraph(fact.name, style), _paragraph(fact.text, right)] for fact in facts]
    return Table(rows, colWidths=[_INNER_WIDTH - 40 * mm, 40 * mm], style=_table_style())


def _table_style(*more: tuple[Any, ...], is_ruled: bool = True) -> TableStyle:
    rules = [("LINEBELOW", (0, 0), (-1, -1), 0.3, colors.HexColor("#cccccc"))] if is_ruled else []
    return TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0), *rules, *more])


def _drawing(chart: UsageChart) -> Drawing:
    """The chart, upside down, for here the origin is the lower left corner."""
    drawing = Drawing(WIDTH, HEIGHT)
    scale = _INNER_WIDTH / WIDTH
    for label in chart.levels:
        y = HEIGHT - label.y
        drawing.add(Line(label.x, y, WIDTH, y, strokeColor=colors.HexColor("#dddddd"), strokeWidth=0.5))
        drawing.add(_string(label.x - 4, y - 3, label.text, "end"))
    for bar in chart.bars:
        y = HEIGHT - bar.y - bar.height
        rectangle: Any = Rect(bar.x, y, bar.width, bar.height)
        rectangle.fillColor, rectangle.strokeColor = _FILLS[bar.style], None
        drawing.add(rectangle)
    for label in chart.days:
        drawing.add(_string(label.x, HEIGHT - label.y, label.text, "middle"))
    drawing.scale(scale, scale)
    drawing.width, drawing.height = WIDTH * scale, HEIGHT * scale
    return drawing


def _string(x: float, y: float, text: str, anchor: Literal["middle", "end"]) -> String:
    return String(x, y, text, fontName=_FONT, fontSize=7, fillColor=_GREY, textAnchor=anchor)


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_printable(text)), style)


def _printable(text: str) -> str:
    known = _fonts()
    return "".join(sign if ord(sign) in known else f"[U+{ord(sign):04X}]" for sign in text if sign.isprintable())


def _style(size: float, color: Any = None, *, bold: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        f"text-{size}-{bold}",
        fontName=_BOLD if bold else _FONT,
        fontSize=size,
        leading=size * 1.4,
        textColor=colors.black if color is None else color,
        spaceBefore=3 * mm if bold else 0,
        splitLongWords=1,
        wordWrap="LTR",
    )


def _numbered(canvas: Any, document: Any) -> None:
    canvas.setFont(_FONT, 7)
    canvas.setFillColor(_GREY)
    canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, f"{document.title}, page {document.page}")


@lru_cache(maxsize=1)
def _fonts() -> frozenset[int]:
    """The signs that the font knows; it is the one that comes with the library."""
    folder = Path(reportlab.__file__).parent / "fonts"
    for name in (_FONT, _BOLD):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    font: Any = pdfmetrics.getFont(_FONT)
    return frozenset(font.face.charToGlyph)
