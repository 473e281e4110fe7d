"""The demonstration's findings as a page that a person understands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from energy.analytics.v1.fleet_pb2 import FleetSummary
from energy.analytics.v1.performance_pb2 import Performance
from energy.billing.v1.invoice_pb2 import Invoice
from google.type.date_pb2 import Date

from loadgen.connection import Addresses
from loadgen.demo_report import DemoReport, amount_text, kind_name, measured, price_text
from loadgen.latency import LatencyHistogram

_LABEL_WIDTH = 26
_NOT_KNOWN = "not known"


def render(report: DemoReport, addresses: Addresses) -> str:
    """The whole page, ending with a newline."""
    lines = [
        *_readings(report),
        *_bill(report),
        *_performance(report.performance),
        *_fleet(report.fleet),
        *_latencies(report),
        *_to_try(report, addresses),
        *_verdict(report),
    ]
    return "\n".join(lines) + "\n"


def _readings(report: DemoReport) -> Iterator[str]:
    yield from _heading("Readings")
    yield _row("sent", f"{report.readings_sent:,}")
    yield _row("acked", f"{report.readings_acked:,}")
    yield _row("refused", f"{report.readings_refused:,}")
    for reason, count in sorted(report.readings_refused_by_reason.items()):
        yield _row(f"  {reason}", f"{count:,}")
    yield _row("duplicates", f"{report.readings_duplicate:,}")
    yield _row("stored", f"{report.readings_stored:,}")
    sign = "=" if report.adds_up else "is not"
    yield _row("stored + duplicates", f"{report.readings_stored + report.readings_duplicate:,} {sign} acked")
    if report.readings_resent:
        yield _row("sent again", f"{report.readings_resent:,} after a lost stream")
    if report.replay:
        yield from _heading("Replayed file")
        yield from report.replay


def _bill(report: DemoReport) -> Iterator[str]:
    if report.bill is not None:
        yield from invoice_lines(report.bill)
    if report.bill_checked_readings:
        yield f"  bill checked against {report.bill_checked_readings:,} readings"
    if report.replay_bill is not None:
        yield from invoice_lines(report.replay_bill)


def invoice_lines(invoice: Invoice) -> Iterator[str]:
    """A bill, line by line, amounts under each other."""
    days = f"{_day(invoice.start_date)} to {_day(invoice.end_date)} (exclusive), {invoice.time_zone}"
    yield from _heading(f"Bill of {invoice.account_id}")
    yield f"  meter {invoice.device_id}, {days}, {invoice.currency_code}"
    for line in invoice.lines:
        product = f"{line.quantity.value:>14} {line.unit:<4} x {price_text(line.unit_price):>6}"
        yield f"  {line.description:<24} {product} {amount_text(line.amount):>12}"
    yield f"  {'Sum':<54} {amount_text(invoice.net):>12}"
    for tax in invoice.taxes:
        yield f"  {f'Tax {tax.percent.value} %':<54} {amount_text(tax.amount):>12}"
    yield f"  {'Total':<54} {amount_text(invoice.total):>12}"


def _performance(performance: Performance | None) -> Iterator[str]:
    yield from _heading("One vehicle")
    if performance is None:
        yield _row("performance", _NOT_KNOWN)
        return
    yield _row("vehicle", performance.device_id)
    yield _row("charged at", ", ".join(performance.meter_ids) or "no linked meter")
    found = measured(performance)
    efficiency = found["efficiency"]
    yield _row("AC from the charger", _number(found["ac_kwh"], "kWh"))
    yield _row("DC into the battery", _number(found["dc_kwh"], "kWh"))
    yield _row("efficiency", _number(None if efficiency is None else efficiency * 100, "%"))
    yield _row("battery temperature", _number(found["battery_temperature_celsius"], "degrees Celsius, mean"))


def _fleet(summary: FleetSummary | None) -> Iterator[str]:
    yield from _heading("The fleet")
    if summary is None:
        yield _row("devices", _NOT_KNOWN)
        return
    yield _row("devices", f"{summary.device_count:,}, {summary.stale_device_count:,} of them silent now")
    for count in summary.counts:
        yield _row(f"  {kind_name(count.kind).lower()}, {count.state}", f"{count.device_count:,}")


def _latencies(report: DemoReport) -> Iterator[str]:
    yield from _heading("How long a reading took")
    yield _row("sent to ack", _percentiles(report.ack_latency))
    yield _row("ack to the log", _percentiles(report.log_latency))
    yield _row("ack to the hot store", _percentiles(report.hot_latency))


def _to_try(report: DemoReport, addresses: Addresses) -> Iterator[str]:
    device_id = report.bill.device_id if report.bill is not None else "METER"
    live = f'{{"device_id": "{device_id}"}}'
    yield from _heading("To try")
    yield _row("the mesh, kept running", "make up (and make down)")
    yield _row("gateway", addresses.gateway)
    yield _row("billing", addresses.billing)
    yield _row("analytics", addresses.analytics)
    grpcurl = "  .venv/bin/grpcurl -plaintext"
    yield f"{grpcurl} {addresses.gateway} list"
    yield f"{grpcurl} -d '{live}' {addresses.billing} energy.billing.v1.UsageService/GetLiveReading"
    yield f"{grpcurl} {addresses.analytics} energy.analytics.v1.AnalyticsService/GetFleetSummary"


def _verdict(report: DemoReport) -> Iterator[str]:
    yield ""
    yield f"Set-up took {report.setup_seconds:.1f} s, the run {report.run_seconds:.1f} s."
    yield from (f"Problem: {problem}" for problem in report.problems)
    if not report.problems:
        yield "All is well: the store holds every reading that was acked, each once."


def _heading(title: str) -> Iterator[str]:
    yield ""
    yield title


def _row(label: str, value: str) -> str:
    return f"  {label:<{_LABEL_WIDTH}} {value}"


def _number(value: float | None, unit: str) -> str:
    return _NOT_KNOWN if value is None else f"{value:.3f} {unit}"


def _percentiles(latency: LatencyHistogram) -> str:
    median, slow = latency.percentile_ms(50), latency.percentile_ms(99)
    if median is None or slow is None:
        return _NOT_KNOWN
    return f"p50 {median:,.0f} ms, p99 {slow:,.0f} ms ({latency.count:,} samples)"


def _day(day: Date) -> str:
    return date(day.year, day.month, day.day).isoformat()
