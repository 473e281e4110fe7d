"""How those who answer questions about periods and performance are put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analytics.alert_rule import AlertRules
from analytics.charging_limits import ChargingLimits
from analytics.config import AnalyticsConfig
from analytics.fleet_performance_report import FleetPerformanceReport
from analytics.minute_loads import MinuteLoads
from analytics.performance_methods import PerformanceReports
from analytics.performance_report import PerformanceReport
from analytics.period_usage import PeriodUsage
from analytics.site_report import SiteReport
from analytics.stats_report import StatsReport
from analytics.storage_report import StorageReport
from analytics.trend_report import TrendReport
from analytics.usage_client import UsageClient
from analytics.window_stores import WindowStores
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
