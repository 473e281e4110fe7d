"""What is let go of, by the settings: cold readings and segments of the log, each by a task of its own."""

from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import CollectorRegistry

from billing.config import BillingConfig
from billing.log_retention import LogRetention, LogRetentionMetrics
from billing.readings_at_rest import ReadingsAtRest
from billing.retention import Retention, RetentionMetrics
from billing.sealed_day_store import SealedDayStore
from common.mongo import Database

Task = Callable[[], Coroutine[Any, Any, None]]


def retention_tasks(
    config: BillingConfig, database: Database, readings: ReadingsAtRest, registry: CollectorRegistry
) -> dict[str, Task]:
    """The tasks to be run for ever, by name; none by default."""
    tasks: dict[str, Task] = {}
    if config.raw_retention_days is not None:
        tasks["retention"] = Retention(
            readings.history,
            readings.days,
            readings.live,
            config.raw_retention_days,
            RetentionMetrics(registry),
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
