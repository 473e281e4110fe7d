"""Days filled in by bulk with the documents that folding makes, so that questions stand on all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from billing.cold.day_notice_store import Day
from billing.cold.day_store import DayStore
from billing.cold.history_store import HistoryStore
from billing.log.schema import HOUR_MS, KINDS
from common.mongo import Database
from tests.bench_store.made_day import DAY_MS, cold_documents, gathered_hour, hot_documents

_DEVICES_A_WRITE = 100


class OutOfTime(Exception):
    """Expected: the store takes longer than the run may last."""


class Filler:
    """Writes whole days of devices into the database that the mesh reads from."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seconds_left = 0.0
        self.documents = 0

    def allow(self, seconds: float) -> None:
        """From now on the store may take so long."""
        self._seconds_left = seconds

    async def prepare(self) -> None:
        """Makes the indexes."""
        await HistoryStore(self._database).prepare()

    async def day(self, kind: str, device_ids: Sequence[str], day_ms: int, *, is_newest: bool = False) -> None:
        """Stores a day of devices, and as their newest reading the last one of it if nothing follows.

        Raises:
            OutOfTime: there is no more; what is stored by then stays.
        """
        history, live = self._database[KINDS[kind].history], self._database[KINDS[kind].live]
        for first in range(0, len(device_ids), _DEVICES_A_WRITE):
            some = device_ids[first : first + _DEVICES_A_WRITE]
            for hour in range(24):
                gathered = gathered_hour(kind, some, day_ms + hour * HOUR_MS)
                documents = cold_documents(gathered)
                began = time.monotonic()
                await history.insert_many(documents, ordered=False)
                if is_newest and hour == 23:
                    await live.insert_many(hot_documents(gathered), ordered=False)
                self._seconds_left -= time.monotonic() - began
                self.documents += len(documents)
            if self._seconds_left < 0:
                raise OutOfTime(f"{self.documents:,} documents were filled in when the time for it was over")

    async def rolled_up(self, kind: str, device_ids: Sequence[str], days_ms: Sequence[int]) -> None:
        """Rolls days up as the roller does."""
        days = DayStore(self._database)
        for day_ms in days_ms:
            await days.make_first(KINDS[kind], [Day(device_id, day_ms) for device_id in device_ids])


def days_before(end_ms: int, count: int) -> list[int]:
    """The starts of so many days up to an end, by time."""
    return [end_ms - number * DAY_MS for number in range(count, 0, -1)]
