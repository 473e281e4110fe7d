"""The places where readings rest, from the log to the hot documents, and what watches over them in this process."""

import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram

from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore
from billing.config import BillingConfig
from billing.live.live_publisher import LivePublisher
from billing.live.live_store import LiveStore
from billing.log.complete_through import CompleteThrough
from billing.log.log_store import LogStore
from billing.log.log_writer import LogWriter
from billing.log.record_hold_store import RecordHoldStore
from billing.log.tail import Tail
from billing.log.watermark_store import WatermarkStore
from billing.log.watermarks import Watermarks
from billing.metering.reading_conflicts import ConflictReport
from common.clock import now_ms
from common.mongo import Database

_SEGMENT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class ReadingsAtRest:
    """Where readings rest, what waits to be folded, and how far all of it is complete."""

    log: LogStore
    writer: LogWriter
    days: DayStore
    history: HistoryStore
    live: LiveStore
    tail: Tail
    publisher: LivePublisher
    watermarks: Watermarks
    complete_through: CompleteThrough


def readings_at_rest(
    config: BillingConfig, database: Database, publisher: LivePublisher, registry: CollectorRegistry
) -> ReadingsAtRest:
    """All of them on one database."""
    written = Histogram(
        "billing_log_append_segments",
        "Segments that one write to the log held.",
        buckets=_SEGMENT_BUCKETS,
        registry=registry,
    )
    log, days, watermarks = LogStore(database), DayStore(database), WatermarkStore(database)
    return ReadingsAtRest(
        log,
        LogWriter(log, written.observe),
        days,
        HistoryStore(database, days, ConflictReport(registry).tell),
        LiveStore(database),
        Tail(config.pending_readings_maximum),
        publisher,
        Watermarks(watermarks, registry, steady_clock=time.monotonic, now_ms=now_ms),
        CompleteThrough(watermarks, RecordHoldStore(database, now_ms)),
    )
