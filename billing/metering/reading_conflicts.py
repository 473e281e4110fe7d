"""Tells of readings that contradict each other or were set aside: in numbers, a line now and then, and as findings."""

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter

from billing.cold.quarantine_store import QuarantinedBatch
from billing.cold.span import is_in_conflict
from billing.log.observation import SpanKey
from billing.log.schema import METER
from billing.metering.register_energy import KnownReading
from billing.metering.validation_rule import Finding, Severity, ValidationRule
from common.logs import get_logger

_log = get_logger(__name__)

# A device gone wild contradicts itself with each reading; one line tells as much as a thousand.
_SECONDS_A_LINE = 60.0


class ConflictReport:
    """Counts starts that have come into conflict, and logs one of them a minute. `clock` gives seconds."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: float | None = None
        self._untold = 0
        self._conflicts = Counter(
            "billing_reading_conflicts",
            "Starts of which a device has sent two values of one revision, or another one than a person has put in.",
            registry=registry,
        )

    def tell(self, key: SpanKey, count: int) -> None:
        """Hears of a span in which so many starts have come into conflict."""
        self._conflicts.inc(count)
        self._untold += count
        now = self._clock()
        if self._told_at is None or now - self._told_at >= _SECONDS_A_LINE:
            _log.warning(
                "readings_in_conflict",
                kind=key.kind,
                device_id=key.device_id,
                span_start_ms=key.span_start_ms,
                starts_count=self._untold,
            )
            self._told_at, self._untold = now, 0


def conflict_findings(readings: Iterable[KnownReading], start_ms: int, end_ms: int) -> Iterator[Finding]:
    """The readings that start in [start_ms, end_ms) and are in conflict, by start."""
    for known in readings:
        if start_ms <= known.start_ms < end_ms and is_in_conflict(known.counting, known.superseded):
            interval_end_ms = known.start_ms + known.counting.interval_ms
            yield Finding(ValidationRule.CONFLICT, Severity.WARNING, "", known.start_ms, interval_end_ms, None, None)


def quarantine_findings(device_id: str, batches: Iterable[QuarantinedBatch]) -> list[Finding]:
    """The hours of a meter of which readings are set aside, each once, by time."""
    starts_ms = {span.key.span_start_ms for batch in batches for span in batch.spans if span.key.device_id == device_id}
    return [
        Finding(ValidationRule.QUARANTINED, Severity.FAILURE, "", at_ms, at_ms + METER.span_ms, None, None)
        for at_ms in sorted(starts_ms)
    ]
