"""How what is derived is kept: each document once, and for as long as it was told to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from common.unique_writes import insert_new


async def insert_kept(collection: Any, documents: Sequence[dict[str, Any]], kept: timedelta) -> None:
    """Inserts the documents whose `_id` is not there; a document goes when `create_time` is `kept` ago.

    Raises:
        pymongo.errors.PyMongoError: the store is away, or refused one for another reason.
    """
    await insert_new(collection, [document | {"expire_at": document["create_time"] + kept} for document in documents])
