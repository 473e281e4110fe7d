"""What the demonstration found out, as one value and as a file for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from energy.analytics.v1.fleet_pb2 import FleetSummary
from energy.analytics.v1.performance_pb2 import Performance
from energy.billing.v1.invoice_pb2 import Invoice
from energy.registry.v1.device_pb2 import DeviceKind
from google.type.money_pb2 import Money

from common.money import currency_exponent, round_half_up, to_decimal
from loadgen.latency import LatencyHistogram


@dataclass(slots=True)
class DemoReport:
    """The findings of one demonstration; what could not be found out is None."""

    setup_seconds: float = 0.0
    run_seconds: float = 0.0
    readings_sent: int = 0
    readings_acked: int = 0
    readings_refused_by_reason: Mapping[str, int] = field(default_factory=dict)
    readings_duplicate: int = 0
    readings_resent: int = 0
    readings_stored: int = 0
    bill: Invoice | None = None
    bill_checked_readings: int = 0
    performance: Performance | None = None
    fleet: FleetSummary | None = None
    ack_latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    log_latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    hot_latency: LatencyHistogram = field(default_factory=LatencyHistogram)
    replay: list[str] = field(default_factory=list)
    """Lines about the replayed file; empty when none was named."""
    replay_bill: Invoice | None = None
    problems: list[str] = field(default_factory=list)
    """What is wrong, a sentence each; empty when all is well."""

    @property
    def readings_refused(self) -> int:
        """Readings refused, for whatever reason."""
        return sum(self.readings_refused_by_reason.values())

    @property
    def adds_up(self) -> bool:
        """True when the store holds exactly what was acked."""
        return self.readings_stored + self.readings_duplicate == self.readings_acked


def write_json(report: DemoReport, path: Path) -> None:
    """Writes the report where programs look for it, making the folder; OSError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")


def as_json(report: DemoReport) -> dict[str, Any]:
    """The report as plain JSON values; exact decimals are strings, what is not known is null."""
    return {
        "setup_seconds": round(report.setup_seconds, 3),
        "run_seconds": round(report.run_seconds, 3),
        "readings_sent": report.readings_sent,
        "readings_acked": report.readings_acked,
        "readings_refused": report.readings_refused,
        "readings_refused_by_reason": dict(sorted(report.readings_refused_by_reason.items())),
        "readings_duplicate": report.readings_duplicate,
        "readings_stored": report.readings_stored,
        "bill": _bill(report.bill),
        "performance": _performance(report.performance),
        "fleet": _fleet(report.fleet),
        "latency_ms": {
            "log_p50": _milliseconds(report.log_latency, 50),
            "log_p99": _milliseconds(report.log_latency, 99),
            "hot_p50": _milliseconds(report.hot_latency, 50),
            "hot_p99": _milliseconds(report.hot_latency, 99),
        },
    }


def _bill(invoice: Invoice | None) -> dict[str, Any] | None:
    if invoice is None:
        return None
    return {
        "account_id": invoice.account_id,
        "currency": invoice.currency_code,
        "lines": [
            {
                "description": line.description,
                "quantity": line.quantity.value,
                "unit": line.unit,
                "unit_price": price_text(line.unit_price),
                "amount": amount_text(line.amount),
            }
            for line in invoice.lines
        ],
        "tax": amount_text(invoice.tax),
        "total": amount_text(invoice.total),
    }


def _performance(performance: Performance | None) -> dict[str, Any] | None:
    return None if performance is None else {"device_id": performance.device_id, **measured(performance)}


def measured(performance: Performance) -> dict[str, float | None]:
    """What is known of a vehicle's performance by name; None is not measured."""
    return {
        "ac_kwh": performance.ac_kwh if performance.HasField("ac_kwh") else None,
        "dc_kwh": performance.dc_kwh if performance.HasField("dc_kwh") else None,
        "efficiency": performance.efficiency if performance.HasField("efficiency") else None,
        "battery_temperature_celsius": (
            performance.battery_temperature_celsius if performance.HasField("battery_temperature_celsius") else None
        ),
    }


def _fleet(summary: FleetSummary | None) -> list[dict[str, Any]] | None:
    if summary is None:
        return None
    return [
        {"kind": kind_name(count.kind), "state": count.state, "count": count.device_count} for count in summary.counts
    ]


def _milliseconds(latency: LatencyHistogram, percent: float) -> float | None:
    value = latency.percentile_ms(percent)
    return None if value is None else round(value, 3)


def kind_name(kind: DeviceKind.ValueType) -> str:
    """The kind without its prefix, such as `METER`."""
    return DeviceKind.Name(kind).removeprefix("DEVICE_KIND_")


def amount_text(money: Money) -> str:
    """An amount with the decimals of its currency, such as `45.60`."""
    return f"{to_decimal(money):.{currency_exponent(money.currency_code)}f}"


def price_text(money: Money) -> str:
    """A price with the decimals of its currency, or as many more as it has."""
    price = to_decimal(money)
    if price == round_half_up(price, money.currency_code):
        return amount_text(money)
    return f"{price.normalize():f}"
