"""Tells whoever watches in this process of each price as it is fixed, whichever replica has fixed it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence

from pymongo.errors import PyMongoError

from billing.prices.region_price import RegionPrice
from common.logs import get_logger
from common.looks import Looks

_LOOK_SECONDS = 1.0

_log = get_logger(__name__)


class PriceFeed:
    """Asks each second, while anybody watches, for the prices of the present interval and those after it.

    `current` gives them, of every region, by region and start.
    """

    def __init__(self, current: Callable[[], Awaitable[Sequence[RegionPrice]]]) -> None:
        self._current = current
        self._newest: Sequence[RegionPrice] = ()
        self._looks = Looks()
        self._watching = 0

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            if self._watching:
                try:
                    self._newest = await self._current()
                except PyMongoError as away:
                    _log.warning("prices_not_read", cause=type(away).__name__)
                else:
                    await self._looks.add()
            await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        """Ends every watch with `ShuttingDown`."""
        await self._looks.close()

    async def watch(self, regions: Collection[str]) -> AsyncGenerator[list[RegionPrice], None]:
        """The prices of some regions, or of all where none is named, each once, as they become known.

        A price that was over before it could be told is not told.

        Raises:
            ShuttingDown: the process stops.
        """
        told: dict[str, int] = {}
        self._watching += 1
        try:
            news = list(await self._current())
            seen = self._looks.count
            while True:
                fresh = [price for price in news if price.start_ms > told.get(price.region, -1)]
                if regions:
                    fresh = [price for price in fresh if price.region in regions]
                if fresh:
                    told |= {price.region: price.start_ms for price in fresh}
                    yield fresh
                seen = await self._looks.next(seen)
                news = list(self._newest)
        finally:
            self._watching -= 1
