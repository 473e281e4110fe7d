"""What another replica has logged and not folded yet is found in the log, whatever partition it waits in."""

from collections.abc import Sequence

import pytest

from billing.log_store import LogStore
from billing.segment import Segment
from billing.tail import Tail
from billing.tail_reader import TailReader
from common.mongo import Database
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments

START_MS = 1_767_225_600_000


class CountingLog(LogStore):
    """The real log, which remembers what was read of it."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.loaded: list[str] = []

    async def load(self, batch_ids: Sequence[str]) -> list[Segment]:
        """Loads and remembers."""
        self.loaded += batch_ids
        return await super().load(batch_ids)


def of_minutes(first: int, partition: int, prefix: str) -> list[Segment]:
    """Two segments of ten readings of one meter."""
    readings = meter_readings(5, "m-1", START_MS + first * MINUTE_MS, 20, revision_share=0.0)
    return segments(readings, 10, partition, prefix)


async def counted(reader: TailReader, device_id: str = "m-1") -> int:
    """How many readings of a device wait."""
    return sum(len(observations) for observations in (await reader.pending([device_id])).values())


async def test_segments_of_every_partition_are_found(database: Database) -> None:
    """A change of the number of partitions leaves older readings of a device in another one."""
    log = LogStore(database)
    await log.append([*of_minutes(0, 3, "old"), *of_minutes(20, 11, "new")])

    reader = TailReader(Tail(1000), log)

    assert await counted(reader) == 40
    assert await counted(reader, "another") == 0


async def test_a_segment_of_another_replica_is_read_once_until_it_is_folded(database: Database) -> None:
    """Each question costs only what is new; what is folded waits no more."""
    log = CountingLog(database)
    old, new = of_minutes(0, 3, "old"), of_minutes(20, 3, "new")
    reader = TailReader(Tail(1000), log)
    await log.append(old)

    assert [await counted(reader), await counted(reader)] == [20, 20]
    assert sorted(log.loaded) == sorted(segment.batch_id for segment in old)

    log.loaded.clear()
    await log.append(new)
    await log.mark_merged([segment.batch_id for segment in old])

    assert await counted(reader) == 20
    assert sorted(log.loaded) == sorted(segment.batch_id for segment in new)


@pytest.mark.parametrize("kept_readings", [0, 10, 19])
async def test_what_does_not_fit_is_read_again_and_never_missed(database: Database, kept_readings: int) -> None:
    """Memory is bounded, the answer is the same."""
    log = CountingLog(database)
    await log.append(of_minutes(0, 3, "old"))
    reader = TailReader(Tail(1000), log, kept_readings)

    assert [await counted(reader) for _ in range(3)] == [20, 20, 20]
    assert len(log.loaded) == (6 if kept_readings == 0 else 4)
