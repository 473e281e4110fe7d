"""How far the windows of regions are, at rest: through when all are closed, and through when the late was listed."""

from __future__ import annotations

from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database

_READ_TIMEOUT_MS = 5_000
_CLOSED, _LISTED = "closed", "late_listed"


class WindowProgressStore:
    """The collection `region_window_progress`: instants, UTC milliseconds, that any replica moves on and none back."""

    def __init__(self, database: Database) -> None:
        self._progress = database["region_window_progress"]

    async def closed_through_ms(self) -> int | None:
        """Every window that ends by then was closed in every region; None: nobody has said."""
        return await self._find(_CLOSED)

    async def closed(self, through_ms: int) -> None:
        """Takes note of it."""
        await self._raise(_CLOSED, through_ms)

    async def listed_through_ms(self) -> int | None:
        """Whatever billing recorded late by then was looked at; None: nobody has said."""
        return await self._find(_LISTED)

    async def listed(self, through_ms: int) -> None:
        """Takes note of it."""
        await self._raise(_LISTED, through_ms)

    async def _find(self, name: str) -> int | None:
        found = await self._progress.find_one({"_id": name}, max_time_ms=_READ_TIMEOUT_MS)
        return None if found is None else datetime_to_ms(found["through"])

    async def _raise(self, name: str, through_ms: int) -> None:
        through = {"$max": {"through": datetime_from_ms(through_ms)}}
        await self._progress.update_one({"_id": name}, through, upsert=True)
