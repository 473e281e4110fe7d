"""What is let go of, by the settings: cold readings, quarter-hours and segments of the log, each by its own task."""

from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import CollectorRegistry

from billing.cold.sealed_day_store import SealedDayStore
from billing.config import BillingConfig
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.readings_at_rest import ReadingsAtRest
from billing.retention.cold_retention import Retention, RetentionMetrics
from billing.retention.log_retention import LogRetention, LogRetentionMetrics
from billing.retention.quarter_hour_retention import QuarterHourRetention
from billing.retention.settled_days import SettledDays
from billing.tariffs.tariff_store import TariffStore
from billing.usage.downsampled_day_store import DownsampledDayStore
from common.mongo import Database
from common.registry_cache import RegistryCache

Task = Callable[[], Coroutine[Any, Any, None]]


def retention_tasks(
    config: BillingConfig,
    database: Database,
    readings: ReadingsAtRest,
    devices: RegistryCache,
    registry: CollectorRegistry,
) -> dict[str, Task]:
    """The tasks to be run for ever, by name; none by default."""
    tasks: dict[str, Task] = {}
    metrics = None
    if config.raw_retention_days is not None or config.quarter_hour_retention_days is not None:
        metrics = RetentionMetrics(registry)
    if config.raw_retention_days is not None and metrics is not None:
        tasks["retention"] = Retention(
            readings.history,
            readings.days,
            readings.live,
            config.raw_retention_days,
            metrics,
            readings.writer.wait_idle,
        ).run
    if config.quarter_hour_retention_days is not None and metrics is not None:
        tasks["quarter_hour_retention"] = QuarterHourRetention(
            DownsampledDayStore(database),
            readings.live,
            devices,
            SettledDays(AccountInvoiceStore(database), TariffStore(database), AdjustmentDueStore(database)),
            config.quarter_hour_retention_days,
            metrics,
            readings.writer.wait_idle,
        ).run
    if config.log_retention_days is not None:
        tasks["log_retention"] = LogRetention(
            readings.log,
            readings.history,
            SealedDayStore(database),
            config.log_retention_days,
            LogRetentionMetrics(registry),
            readings.writer.wait_idle,
        ).run
    return tasks
