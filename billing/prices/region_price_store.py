"""Where the prices of regions rest, one for each region and quarter-hour, and nothing in them is ever changed."""

from collections.abc import Collection, Iterable, Sequence

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from billing.prices.region_price import RegionPrice
from billing.prices.region_price_document import place_of, price_from_document, price_to_document
from common.instants import datetime_from_ms
from common.mongo import Database
from common.unique_writes import insert_new

COLLECTION = "region_prices"

_READ_TIMEOUT_MS = 10_000


class RegionPriceStore:
    """The collection `region_prices`; of several who fix the price of an interval the first one counts."""

    def __init__(self, database: Database) -> None:
        self._prices = database[COLLECTION]

    async def prepare(self) -> None:
        """Makes the indexes that find the prices of a region by time, and those of an instant in every region."""
        await self._prices.create_index([("region", ASCENDING), ("start", ASCENDING)], unique=True)
        await self._prices.create_index([("start", ASCENDING), ("region", ASCENDING)])

    async def fix(self, price: RegionPrice) -> bool:
        """Keeps a price that is to be told; False if the interval has one."""
        try:
            await self._prices.insert_one(price_to_document(price, tell=True))
        except DuplicateKeyError:
            return False
        return True

    async def settle(self, prices: Iterable[RegionPrice]) -> None:
        """Keeps prices of intervals that began without one, for those that still have none."""
        documents = [price_to_document(price, tell=False) for price in prices]
        await insert_new(self._prices, documents)

    async def at(self, regions: Collection[str], start_ms: int) -> dict[str, RegionPrice]:
        """The prices of one interval, by region; regions without one are left out."""
        ids = [place_of(region, start_ms) for region in regions]
        cursor = self._prices.find({"_id": {"$in": ids}}).max_time_ms(_READ_TIMEOUT_MS)
        return {document["region"]: price_from_document(document) async for document in cursor}

    async def from_start(self, start_ms: int) -> list[RegionPrice]:
        """The prices of every region whose interval begins at an instant or later, by region and start."""
        cursor = self._prices.find({"start": {"$gte": datetime_from_ms(start_ms)}}).max_time_ms(_READ_TIMEOUT_MS)
        found = [price_from_document(document) async for document in cursor]
        return sorted(found, key=lambda price: (price.region, price.start_ms))

    async def between(self, region: str, start_ms: int, end_ms: int, limit: int = 0) -> Sequence[RegionPrice]:
        """The prices of a region whose interval begins in [start_ms, end_ms), UTC milliseconds, by time; 0: all."""
        within = {"$gte": datetime_from_ms(start_ms), "$lt": datetime_from_ms(end_ms)}
        cursor = self._prices.find({"region": region, "start": within}).sort("start", ASCENDING).limit(limit)
        return [price_from_document(document) async for document in cursor.max_time_ms(_READ_TIMEOUT_MS)]
