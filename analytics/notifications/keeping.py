"""How what is derived is kept: each document once, and for as long as it was told to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pymongo.errors import BulkWriteError

_DUPLICATE_KEY = 11000


async def insert_new(collection: Any, documents: Sequence[dict[str, Any]], kept: timedelta) -> None:
    """Inserts the documents whose `_id` is not there; a document goes when `create_time` is `kept` ago.

    Raises:
        pymongo.errors.PyMongoError: the store is away, or refused one for another reason.
    """
    await insert_unless_there(
        collection, [document | {"expire_at": document["create_time"] + kept} for document in documents]
    )


async def insert_unless_there(collection: Any, documents: Sequence[dict[str, Any]]) -> None:
    """Inserts the documents whose `_id` is not there.

    Raises:
        pymongo.errors.PyMongoError: the store is away, or refused one for another reason.
    """
    if not documents:
        return
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as failure:
        details = failure.details
        if details.get("writeConcernErrors") or any(
            error["code"] != _DUPLICATE_KEY for error in details.get("writeErrors", [])
        ):
            raise
