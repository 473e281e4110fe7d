"""What the gateway needs of its store before it serves."""

from __future__ import annotations

from common.clock import now_ms
from common.preparation import patient_database
from gateway.config import GatewayConfig
from gateway.device_store import DeviceStore


async def prepare(config: GatewayConfig) -> None:
    """Makes the indexes of the registry; harmless when they are there.

    Raises:
        pymongo.errors.PyMongoError: the store is away, or has another index by the same name.
    """
    async with patient_database(config.mongo_url.get_secret_value(), config.mongo_database) as database:
        await DeviceStore(database, now_ms).ensure_indexes()
