"""Turns sums over readings into the messages people ask for."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from energy.billing.v1 import usage_pb2, usage_service_pb2

from billing.cold.quarantined_period import QuarantinedPeriod
from billing.cold.usage_bucket import Bucket, bucket_end_ms
from billing.cold.usage_sum import Usage
from billing.usage.minute_total import MinuteTotal
from billing.usage.quarter_total import QuarterTotal
from billing.usage.usage_request import Window
from common.energy import kwh
from common.instants import duration_from_ms, from_ms, set_ms, set_span_ms

_HOUR_MS = 3_600_000
_PERIODS_MAXIMUM = 1000
_FIELDS = {
    "import_milliwatt_hours": "import_kwh",
    "export_milliwatt_hours": "export_kwh",
    "energy_delivered_milliwatt_hours": "energy_delivered_kwh",
    "charge_milliwatt_hours": "charge_kwh",
    "discharge_milliwatt_hours": "discharge_kwh",
}


def to_usage(usage: Usage) -> usage_pb2.Usage:
    """Sums as a message; what was not measured stays absent."""
    message = usage_pb2.Usage()
    _fill(message, usage)
    return message


def to_interval(start_ms: int, usage: Usage, bucket: Bucket, zone: ZoneInfo, asked: Window) -> usage_pb2.UsageInterval:
    """One bucket as a message, its end by the local clock where the bucket is one of it."""
    end_ms = bucket_end_ms(start_ms, bucket, zone)
    share = covered_share(usage, max(start_ms, asked.start_ms), min(end_ms, asked.end_ms))
    message = usage_pb2.UsageInterval(covered_share=share)
    set_ms(message.start_time, start_ms)
    set_ms(message.end_time, end_ms)
    _fill(message.usage, usage)
    return message


def _fill(message: usage_pb2.Usage, usage: Usage) -> None:
    # In place and only what is there: a month has three thousand of these, and making parts to copy them costs twice.
    message.reading_count = usage.reading_count
    set_span_ms(message.covered, usage.covered_ms)
    for name, energy in usage.energies.items():
        setattr(message, _FIELDS[name], kwh(energy))
    if usage.temperature_count:
        message.mean_temperature_celsius = usage.temperature_sum / usage.temperature_count
    if usage.estimated_count:
        message.estimated_reading_count = usage.estimated_count
    if usage.edited_count:
        message.edited_reading_count = usage.edited_count
    if usage.substituted_count:
        message.substituted_reading_count = usage.substituted_count
    _fill_power(message, usage)


def _fill_power(message: usage_pb2.Usage, usage: Usage) -> None:
    if usage.power_covered_ms:
        message.mean_power_kw = usage.power_kw_ms / usage.power_covered_ms
    if usage.minimum_power_kw is not None:
        message.minimum_power_kw = usage.minimum_power_kw
    if usage.maximum_power_kw is not None:
        message.maximum_power_kw = usage.maximum_power_kw
    if usage.first_power is not None:
        message.first_power_kw = usage.first_power.power_kw
    if usage.last_power is not None:
        message.last_power_kw = usage.last_power.power_kw


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


def to_quarantined(periods: Iterable[QuarantinedPeriod]) -> list[usage_pb2.QuarantinedPeriod]:
    """What is set aside, by device and start; the first thousand of them."""
    return [
        usage_pb2.QuarantinedPeriod(
            device_id=one.device_id, start_time=from_ms(one.start_ms), end_time=from_ms(one.end_ms)
        )
        for one in sorted(periods)[:_PERIODS_MAXIMUM]
    ]


def covered_share(usage: Usage, start_ms: int, end_ms: int) -> float:
    """The share of [start_ms, end_ms) that readings cover, at most 1."""
    return min(1.0, usage.covered_ms / (end_ms - start_ms))
