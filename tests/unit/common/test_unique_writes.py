"""Which writes of a bulk were refused for what was there already; every other failure stays one."""

from typing import Any

import pytest
from pymongo.errors import BulkWriteError

from common.unique_writes import insert_new, positions_there

THERE = {"code": 11000}


class Collection:
    """Takes documents, or fails as the test says."""

    def __init__(self, **details: Any) -> None:
        self.failure = BulkWriteError(details) if details else None
        self.inserted: list[Any] = []

    async def insert_many(self, documents: Any, *, ordered: bool) -> None:
        """Remembers what it was given."""
        self.inserted.append((list(documents), ordered))
        if self.failure is not None:
            raise self.failure


async def test_those_that_were_there_are_named_by_their_positions() -> None:
    """The others are written, in whatever order."""
    collection = Collection(writeErrors=[THERE | {"index": 2}, THERE | {"index": 0}])

    assert await insert_new(collection, [{"_id": number} for number in range(3)]) == [2, 0]
    assert [ordered for _, ordered in collection.inserted] == [False]


async def test_nothing_is_asked_of_the_store_for_nothing() -> None:
    """An empty insert is refused by drivers."""
    collection = Collection()

    assert (await insert_new(collection, []), collection.inserted) == ([], [])
    assert await insert_new(collection, [{"_id": 1}]) == []


@pytest.mark.parametrize(
    "details",
    [
        {"writeErrors": [THERE | {"index": 0}, {"code": 8000, "index": 1}]},
        {"writeErrors": [THERE | {"index": 0}], "writeConcernErrors": [{"code": 64}]},
        {"writeErrors": [], "writeConcernErrors": [{"code": 64}]},
        {"writeErrors": []},
        {"nothing": "known"},
    ],
)
async def test_another_failure_is_never_taken_for_what_was_there(details: dict[str, Any]) -> None:
    """Not even beside one: what a majority does not have is not written, and what nothing explains is a failure."""
    failure = BulkWriteError(details)

    with pytest.raises(BulkWriteError) as raised:
        positions_there(failure)
    assert raised.value is failure
    with pytest.raises(BulkWriteError):
        await insert_new(Collection(**details), [{"_id": 1}])
