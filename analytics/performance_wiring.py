"""How those who answer questions about periods and performance are put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analytics.alerts.alert_rule import AlertRules
from analytics.config import AnalyticsConfig
from analytics.performance.charging_limits import ChargingLimits
from analytics.performance.fleet_performance_report import FleetPerformanceReport
from analytics.performance.performance_report import PerformanceReport
from analytics.performance.site_report import SiteReport
from analytics.performance.stats_report import StatsReport
from analytics.performance.storage_report import StorageReport
from analytics.performance.trend_report import TrendReport
from analytics.performance_methods import PerformanceReports
from analytics.usage.period_usage import PeriodUsage
from analytics.usage.usage_client import UsageClient
from analytics.windows.minute_loads import MinuteLoads
from analytics.windows.window_stores import WindowStores
from common.registry_cache import RegistryCache


@dataclass(frozen=True, slots=True)
class Reports:
    """Who answers."""

    stats: StatsReport
    performance: PerformanceReports
    sites: SiteReport
    trends: TrendReport
    minutes: MinuteLoads


def reports(
    config: AnalyticsConfig,
    registry: RegistryCache,
    usage: UsageClient,
    *,
    stores: WindowStores,
    rules: Callable[[], AlertRules],
) -> Reports:
    """Those who answer; opens nothing."""
    periods = PeriodUsage(usage)
    return Reports(
        StatsReport(registry, periods, stores.windows),
        PerformanceReports(
            PerformanceReport(registry, usage),
            FleetPerformanceReport(registry, periods, ChargingLimits(registry, rules)),
            StorageReport(registry, usage, periods, low_percent=config.storage_efficiency_low_percent),
        ),
        SiteReport(registry, periods),
        TrendReport(registry, periods),
        MinuteLoads(registry, usage, stores.capacities, lateness_ms=int(1000 * config.window_lateness_seconds)),
    )
