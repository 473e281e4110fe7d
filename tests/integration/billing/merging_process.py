"""A process that folds whatever the log holds unfolded until it is killed: `python -m ... URL DATABASE`."""

import asyncio
import sys

from common.mongo import open_database
from tests.integration.billing.store import store_on

READY = "merging"
_IDLE_SECONDS = 0.02


async def merge_for_ever(mongo_url: str, database_name: str) -> None:
    """Searches the log and folds a few readings at a time, without end."""
    store = await store_on(open_database(mongo_url, database_name))
    print(READY, flush=True)  # noqa: T201 - the parent waits for it
    while True:
        await store.merger.recover()
        await store.fold_everything()
        await asyncio.sleep(_IDLE_SECONDS)


if __name__ == "__main__":
    asyncio.run(merge_for_ever(*sys.argv[1:]))
