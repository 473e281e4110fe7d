"""What billing needs of its store before it consumes."""

from __future__ import annotations

from billing.cold.history_store import HistoryStore
from billing.config import BillingConfig
from billing.log.log_store import LogStore
from billing.pricing_wiring import prepare_prices
from billing.servicers import prepare_doors
from billing.validation_wiring import prepare_validation
from common.lease_store import LeaseStore
from common.mongo import Database
from common.preparation import patient_database


async def prepare_store(database: Database, log: LogStore, history: HistoryStore) -> None:
    """Makes every index that readings, prices, tariffs and invoices are found by; harmless when they are there.

    Raises:
        pymongo.errors.PyMongoError: the store is away, or has another index by the same name.
    """
    await log.prepare()
    await history.prepare()
    await prepare_doors(database)
    await prepare_validation(database)
    await prepare_prices(database)


async def prepare(config: BillingConfig) -> None:
    """The same as a program, with the indexes of leases, and those by which retention removes where it is on.

    Raises:
        pymongo.errors.PyMongoError: as `prepare_store`.
    """
    async with patient_database(config.mongo_url.get_secret_value(), config.mongo_database) as database:
        log, history = LogStore(database), HistoryStore(database)
        await prepare_store(database, log, history)
        await LeaseStore(database, "billing").prepare()
        if config.raw_retention_days is not None:
            await history.prepare_expiry()
        if config.log_retention_days is not None:
            await log.prepare_expiry()
