"""What devices did over periods, as messages; what is not known stays absent."""

from __future__ import annotations

from datetime import date

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import period_stats_pb2, usage_trend_pb2
from google.type.date_pb2 import Date

from analytics.performance.stats_report import Comparison, Stats, TopConsumers
from analytics.performance.trend_report import FoundTrend, TrendQuestion
from analytics.usage.peak_load import Peak
from analytics.usage.period_rows import Row
from analytics.usage.period_totals import PeriodTotals, change_percent, difference, per_day
from common.energy import kwh
from common.instants import from_ms, optional_from_ms

_MILLIWATTS_A_KW = 1_000_000


def top_response(top: TopConsumers) -> pb.ListTopConsumersResponse:
    """Those that took the most, by rank."""
    return pb.ListTopConsumersResponse(
        consumers=[
            period_stats_pb2.TopConsumer(
                rank=place,
                device_id=device.device_id,
                account_id=device.account_id,
                region=device.region,
                energy_in_kwh=kwh(totals.in_milliwatt_hours or 0),
                share_percent=_share_percent(totals.in_milliwatt_hours, top.totals.in_milliwatt_hours),
                maximum_power_kw=totals.maximum_power_kw,
                covered_share=totals.covered_share,
            )
            for place, (device, totals) in enumerate(top.consumers, 1)
        ],
        totals=totals_message(top.totals),
        complete_through=optional_from_ms(top.complete_through_ms),
    )


def stats_response(stats: Stats) -> pb.GetStatsResponse:
    """What devices did, and how that has changed."""
    before, after = stats.previous, stats.totals
    return pb.GetStatsResponse(
        stats=period_stats_pb2.PeriodStats(
            totals=totals_message(after),
            peak=None if stats.peak is None else _peak_message(stats.peak),
            previous=totals_message(before),
            energy_in_change_percent=change_percent(before.in_milliwatt_hours, after.in_milliwatt_hours),
            energy_out_change_percent=change_percent(before.out_milliwatt_hours, after.out_milliwatt_hours),
            days=map(_row_message, stats.days),
            months=map(_row_message, stats.months),
        ),
        complete_through=optional_from_ms(stats.complete_through_ms),
    )


def comparison_response(found: Comparison) -> pb.ComparePeriodsResponse:
    """Two periods beside each other."""
    first, second = found.first, found.second
    first_per_day = per_day(first.in_milliwatt_hours, found.first_day_count)
    second_per_day = per_day(second.in_milliwatt_hours, found.second_day_count)
    return pb.ComparePeriodsResponse(
        comparison=period_stats_pb2.PeriodComparison(
            first=totals_message(first),
            second=totals_message(second),
            energy_in_difference_kwh=_kwh(difference(first.in_milliwatt_hours, second.in_milliwatt_hours)),
            energy_in_change_percent=change_percent(first.in_milliwatt_hours, second.in_milliwatt_hours),
            energy_out_difference_kwh=_kwh(difference(first.out_milliwatt_hours, second.out_milliwatt_hours)),
            energy_out_change_percent=change_percent(first.out_milliwatt_hours, second.out_milliwatt_hours),
            first_energy_in_per_day_kwh=_kwh(first_per_day),
            second_energy_in_per_day_kwh=_kwh(second_per_day),
            energy_in_per_day_change_percent=change_percent(first_per_day, second_per_day),
            time_zone=found.zone,
        ),
        complete_through=optional_from_ms(found.complete_through_ms),
    )


def trend_response(question: TrendQuestion, found: FoundTrend) -> pb.GetUsageTrendResponse:
    """Where the energy of days goes."""
    trend, days = found.trend, found.days
    return pb.GetUsageTrendResponse(
        trend=usage_trend_pb2.UsageTrend(
            start_date=_date_message(question.start_date),
            end_date=_date_message(question.end_date),
            counted_day_count=len(days),
            left_out_day_count=(question.end_date - question.start_date).days - len(days),
            direction=usage_trend_pb2.TrendDirection.Value(f"TREND_DIRECTION_{trend.direction.value}"),
            change_per_day_kwh=_kwh(trend.change_per_day),
            change_per_day_percent=_share_percent(trend.change_per_day, trend.mean_day),
            mean_day_kwh=_kwh(trend.mean_day),
            peak_day=None if trend.peak_day is None else _row_message(days[trend.peak_day]),
            lowest_day=None if trend.lowest_day is None else _row_message(days[trend.lowest_day]),
        ),
        complete_through=optional_from_ms(found.complete_through_ms),
    )


def totals_message(totals: PeriodTotals) -> period_stats_pb2.PeriodTotals:
    """What devices did over one period."""
    return period_stats_pb2.PeriodTotals(
        start_time=from_ms(totals.window.start_ms),
        end_time=from_ms(totals.window.end_ms),
        device_count=totals.device_count,
        reporting_device_count=totals.reporting_device_count,
        reading_count=totals.reading_count,
        covered_share=totals.covered_share,
        energy_in_kwh=_kwh(totals.in_milliwatt_hours),
        energy_out_kwh=_kwh(totals.out_milliwatt_hours),
        mean_load_kw=totals.mean_load_kw,
        mean_power_kw=totals.mean_power_kw,
        maximum_power_kw=totals.maximum_power_kw,
        maximum_power_device_id=totals.maximum_power_device_id,
    )


def _peak_message(peak: Peak) -> period_stats_pb2.PeakInterval:
    return period_stats_pb2.PeakInterval(
        start_time=from_ms(peak.interval.start_ms),
        end_time=from_ms(peak.interval.end_ms),
        energy_in_kwh=kwh(peak.milliwatt_hours),
        load_kw=peak.milliwatts / _MILLIWATTS_A_KW,
    )


def _row_message(row: Row) -> period_stats_pb2.PeriodRow:
    return period_stats_pb2.PeriodRow(date=_date_message(row.day), totals=totals_message(row.totals))


def _date_message(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)


def _share_percent(part: float | None, whole: float | None) -> float | None:
    return 100 * part / whole if part is not None and whole else None


def _kwh(energy_milliwatt_hours: float | None) -> float | None:
    return None if energy_milliwatt_hours is None else energy_milliwatt_hours / 1_000_000
