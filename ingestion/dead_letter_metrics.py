"""How many dead letters wait, and how many were brought back."""

from __future__ import annotations

import asyncio
import math

from prometheus_client import CollectorRegistry, Counter, Gauge

from common.broker import BrokerAway
from ingestion.dead_letter_store import DeadLetterStore

_COUNT_SECONDS = 5.0


class DeadLetterMetrics:
    """The figures of the dead letters; `run()` must run as a background task."""

    def __init__(self, store: DeadLetterStore, registry: CollectorRegistry) -> None:
        self._store = store
        self._waiting = Gauge(
            "ingestion_dead_letters_waiting", "Messages in the dead-letter queue; NaN: not known.", registry=registry
        )
        self._waiting.set(math.nan)
        self.replayed = Counter(
            "ingestion_dead_letters_replayed", "Letters that were published again.", registry=registry
        )
        self.discarded = Counter(
            "ingestion_dead_letters_discarded", "Letters that were discarded for good.", registry=registry
        )

    async def run(self) -> None:
        """Counts every five seconds until cancelled."""
        while True:
            try:
                self._waiting.set(await self._store.count())
            except BrokerAway:
                self._waiting.set(math.nan)
            await asyncio.sleep(_COUNT_SECONDS)
