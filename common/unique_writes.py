"""Writes of documents some of which may be there already: which ones were, and any other failure as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import BulkWriteError

# What MongoDB answers when a unique index has the key: https://www.mongodb.com/docs/manual/reference/error-codes/
_DUPLICATE_KEY = 11000


async def insert_new(collection: Any, documents: Sequence[Mapping[str, Any]]) -> list[int]:
    """Inserts the documents that are not there by any unique index; returns the positions of those that were.

    Raises:
        pymongo.errors.PyMongoError: at least one of the others is not known to be written; writing all again is safe.
    """
    if not documents:
        return []
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as failure:
        return positions_there(failure)
    return []


def positions_there(failure: BulkWriteError) -> list[int]:
    """The positions of the writes of a bulk that were refused for what was there already.

    Raises:
        BulkWriteError: one of them failed for another reason, or they are not known to be safe, or none was refused.
    """
    details: Mapping[str, Any] = failure.details or {}
    errors = details.get("writeErrors", [])
    is_explained = errors and all(error["code"] == _DUPLICATE_KEY for error in errors)
    if details.get("writeConcernErrors") or not is_explained:
        raise failure
    return [error["index"] for error in errors]
