"""The instant up to which answers are complete: the least over all partitions, as it is at rest."""

import asyncio
from collections.abc import Mapping

from pymongo.errors import PyMongoError

from billing.log.completeness import Watermark
from billing.log.record_hold_store import RecordHoldStore
from billing.log.watermark_store import WatermarkStore
from common.errors import DependencyUnavailable
from common.logs import get_logger

_log = get_logger(__name__)

_REFRESH_SECONDS = 0.5


class CompleteThrough:
    """What the store said last; `run()` asks it again and again as a background task, so that no answer waits for it.

    Of every partition, whichever devices are asked about: while the number of partitions changes each gateway spreads
    by its own, so that nobody can tell in which of them a reading of a device still waits. Only what is at rest counts,
    for it never falls, whichever replica answers. What was read before the readings of an answer is true of it.
    """

    def __init__(self, store: WatermarkStore, holds: RecordHoldStore | None = None) -> None:
        self._store = store
        self._holds = holds
        self._through_ms: int | None = None

    @property
    def latest_ms(self) -> int | None:
        """Every reading acked before this instant, epoch milliseconds, is in the log; None: not known of all."""
        return self._through_ms

    async def refresh(self) -> int | None:
        """Asks the store.

        Raises:
            pymongo.errors.PyMongoError: it did not answer.
        """
        found_ms = least_ms(await self._store.load_all())
        # Afterwards: one placed since then is of an instant that the watermarks had not reached.
        held_ms = None if self._holds is None else await self._holds.earliest_ms()
        if found_ms is not None and held_ms is not None:
            found_ms = min(found_ms, held_ms - 1)
        if found_ms is not None:
            self._through_ms = max(found_ms, self._through_ms or 0)
        return self._through_ms

    async def lowered(self, instant_ms: int) -> int:
        """The instant, or what answers are complete through if that is earlier.

        Raises:
            DependencyUnavailable: nothing was heard of some partition yet.
            pymongo.errors.PyMongoError: the store did not answer.
        """
        if self._through_ms is None or instant_ms > self._through_ms:
            await self.refresh()
        if self._through_ms is None:
            raise DependencyUnavailable("ingestion")
        return min(instant_ms, self._through_ms)

    async def run(self) -> None:
        """Refreshes until cancelled; while the store is away the last instant stays, and stays true."""
        while True:
            try:
                await self.refresh()
            except PyMongoError as failure:
                _log.debug("complete_through_not_read", cause=type(failure).__name__)
            await asyncio.sleep(_REFRESH_SECONDS)


def least_ms(watermarks: Mapping[int, Watermark]) -> int | None:
    """The least instant over every partition that any of them tells of; None if one of those tells nothing."""
    partition_count = max((known.partition_count for known in watermarks.values()), default=0)
    found = [watermarks.get(partition, Watermark()).complete_through_ms for partition in range(partition_count)]
    known_ms = [through_ms for through_ms in found if through_ms is not None]
    return min(known_ms) if known_ms and len(known_ms) == len(found) else None
