"""Tells the days of what is about to be folded into them, so that no roll-up is believed that lacks it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from billing.cold.day import day_of, document_id, has_ended, hour_name
from billing.log.observation import SpanKey
from billing.log.schema import Kind
from common.instants import datetime_from_ms
from common.unique_writes import insert_new, positions_there

# After a late reading others of the same device follow, and one new document will do for all of them.
WAIT_FOR_MORE_MS = 600_000
# No write of a fold takes nearly as long as what is left then until the day is made.
_TOLD_FOR_MS = 300_000
_REMEMBERED_DAYS = 200_000
_UNSEALED: Mapping[str, Any] = MappingProxyType({"sealed": {"$exists": False}})


class SealedDay(Exception):
    """Expected: a reading came for a day whose readings were removed."""


class Day(NamedTuple):
    """A device's day, by its start in epoch milliseconds."""

    device_id: str
    start_ms: int


class DayNotices:
    """Marks days as due before something is folded into them; `billing.cold.day_store` says what for."""

    def __init__(self, collections: Mapping[str, Any], clock_ms: Callable[[], int]) -> None:
        self._days = collections
        self._clock_ms = clock_ms
        self._told_at_ms: dict[tuple[str, Day], int] = {}

    async def announce(self, kind: Kind, versions: Iterable[tuple[SpanKey, int]]) -> None:
        """As `DayStore.announce`."""
        at_ms = self._clock_ms()
        by_day: dict[Day, dict[str, int]] = {}
        for key, version in versions:
            if has_ended(key.span_start_ms, at_ms):
                day = Day(key.device_id, day_of(key.span_start_ms))
                if not self._is_told(kind, day, at_ms):
                    by_day.setdefault(day, {})[hour_name(key.span_start_ms)] = version
        if not by_day:
            return
        due_at = datetime_from_ms(at_ms + WAIT_FOR_MORE_MS)
        await self._tell_again(kind, await self._tell_first(kind, by_day, due_at), due_at)
        self._remember(kind, by_day, at_ms)

    async def _tell_first(
        self, kind: Kind, by_day: Mapping[Day, dict[str, int]], due_at: datetime
    ) -> dict[Day, dict[str, int]]:
        """Tells the days that have no document; returns the others. An insert costs the store a tenth of an upsert."""
        days = list(by_day)
        documents = [{**day_key(day), "versions": by_day[day], "due_at": due_at} for day in days]
        there = await insert_new(self._days[kind.name], documents)
        return {days[position]: by_day[days[position]] for position in there}

    async def _tell_again(self, kind: Kind, by_day: Mapping[Day, dict[str, int]], due_at: datetime) -> None:
        writes = [
            UpdateOne(
                {**day_key(day), **_UNSEALED},
                {"$max": {**{f"versions.{hour}": version for hour, version in raised.items()}, "due_at": due_at}},
                upsert=True,
            )
            for day, raised in by_day.items()
        ]
        if not writes:
            return
        try:
            await self._days[kind.name].bulk_write(writes, ordered=False)
        except BulkWriteError as failure:
            positions_there(failure)
            # One that is there and does not match is sealed.
            raise SealedDay("its day is sealed: the readings it rests on were removed") from failure

    def _remember(self, kind: Kind, days: Iterable[Day], at_ms: int) -> None:
        for day in days:
            self._told_at_ms.pop((kind.name, day), None)
            self._told_at_ms[kind.name, day] = at_ms
        while len(self._told_at_ms) > _REMEMBERED_DAYS:
            del self._told_at_ms[next(iter(self._told_at_ms))]

    def _is_told(self, kind: Kind, day: Day, at_ms: int) -> bool:
        told_at_ms = self._told_at_ms.get((kind.name, day))
        # A clock that was set back says nothing of how long ago that was.
        return told_at_ms is not None and told_at_ms <= at_ms < told_at_ms + _TOLD_FOR_MS


def day_key(day: Day) -> dict[str, Any]:
    """What finds the document of a day by its shard key, and is in it."""
    return {
        "_id": document_id(day.device_id, day.start_ms),
        "device_id": day.device_id,
        "span_start": datetime_from_ms(day.start_ms),
    }
