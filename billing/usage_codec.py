"""Turns sums over readings into the messages people ask for."""

from zoneinfo import ZoneInfo

from energy.billing.v1 import usage_pb2, usage_service_pb2

from billing.minute_total import MinuteTotal
from billing.quarter_total import QuarterTotal
from billing.usage import Usage
from billing.usage_bucket import Bucket, bucket_end_ms
from billing.usage_request import Window
from common.energy import kwh
from common.instants import duration_from_ms, from_ms

_HOUR_MS = 3_600_000
_FIELDS = {
    "import_milliwatt_hours": "import_kwh",
    "export_milliwatt_hours": "export_kwh",
    "energy_delivered_milliwatt_hours": "energy_delivered_kwh",
    "charge_milliwatt_hours": "charge_kwh",
    "discharge_milliwatt_hours": "discharge_kwh",
}


def to_usage(usage: Usage) -> usage_pb2.Usage:
    """Sums as a message; what was not measured stays absent."""
    return usage_pb2.Usage(
        reading_count=usage.reading_count,
        covered=duration_from_ms(usage.covered_ms),
        mean_power_kw=usage.mean_power_kw,
        minimum_power_kw=usage.minimum_power_kw,
        maximum_power_kw=usage.maximum_power_kw,
        first_power_kw=usage.first_power_kw,
        last_power_kw=usage.last_power_kw,
        mean_temperature_celsius=usage.mean_temperature_celsius,
        estimated_reading_count=usage.estimated_count,
        edited_reading_count=usage.edited_count,
        substituted_reading_count=usage.substituted_count,
        **{_FIELDS[name]: kwh(energy) for name, energy in usage.energies.items()},
    )


def to_interval(start_ms: int, usage: Usage, bucket: Bucket, zone: ZoneInfo, asked: Window) -> usage_pb2.UsageInterval:
    """One bucket as a message, its end by the local clock where the bucket is one of it."""
    end_ms = bucket_end_ms(start_ms, bucket, zone)
    return usage_pb2.UsageInterval(
        start_time=from_ms(start_ms),
        end_time=from_ms(end_ms),
        usage=to_usage(usage),
        covered_share=covered_share(usage, max(start_ms, asked.start_ms), min(end_ms, asked.end_ms)),
    )


def to_minute(total: MinuteTotal) -> usage_service_pb2.MinuteTotal:
    """A minute of several meters as a message."""
    power_only = total.power_only_kw_ms
    return usage_service_pb2.MinuteTotal(
        start_time=from_ms(total.start_ms),
        import_kwh=None if total.import_milliwatt_hours is None else kwh(total.import_milliwatt_hours),
        export_kwh=None if total.export_milliwatt_hours is None else kwh(total.export_milliwatt_hours),
        power_only_kwh=None if power_only is None else power_only / _HOUR_MS,
        reading_count=total.reading_count,
        meter_count=total.meter_count,
        covered=duration_from_ms(total.covered_ms),
    )


def to_quarter_hour(total: QuarterTotal) -> usage_service_pb2.QuarterHourTotal:
    """A quarter-hour of several meters as a message."""
    return usage_service_pb2.QuarterHourTotal(
        start_time=from_ms(total.start_ms),
        import_kwh=kwh(total.import_milliwatt_hours),
        export_kwh=kwh(total.export_milliwatt_hours),
        by_power_import_kwh=kwh(total.by_power_import_milliwatt_hours),
        by_power_export_kwh=kwh(total.by_power_export_milliwatt_hours),
        meter_count=total.meter_count,
        covered=duration_from_ms(total.covered_ms),
    )


def covered_share(usage: Usage, start_ms: int, end_ms: int) -> float:
    """The share of [start_ms, end_ms) that readings cover, at most 1."""
    return min(1.0, usage.covered_ms / (end_ms - start_ms))
