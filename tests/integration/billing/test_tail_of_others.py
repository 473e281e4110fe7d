"""What another replica has logged and not folded yet is found in the log, whatever partition it waits in."""

import asyncio
from collections.abc import Sequence

import pytest

from billing.log.log_store import LogStore
from billing.log.period import ALWAYS, Period
from billing.log.segment import Segment
from billing.log.tail import Tail
from billing.log.tail_reader import TailReader
from billing.log.unmerged_store import UnmergedStore
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


async def test_more_than_there_is_room_for_is_read_again_in_part_only(database: Database) -> None:
    """What was kept stays while it is asked for, and goes when something else is."""
    log = CountingLog(database)
    first, second = of_minutes(0, 3, "first"), of_minutes(600, 3, "second")
    await log.append([*first, *second])
    reader = TailReader(Tail(1000), log, 20)
    assert [await counted(reader), await counted(reader)] == [40, 40]
    assert len(log.loaded) == 4 + 2
    log.loaded.clear()

    later = Period(START_MS + 600 * MINUTE_MS, START_MS + 700 * MINUTE_MS)
    for _ in range(3):
        assert sum(map(len, (await reader.pending(["m-1"], later)).values())) == 20

    assert len(log.loaded) <= 2


async def test_what_this_process_logged_is_known_without_asking_and_what_others_logged_is_found(
    database: Database,
) -> None:
    """A question costs the marks of others only; whoever folds a segment, it waits no more in the end."""
    ours, others = LogStore(database), LogStore(database)
    await ours.prepare()
    await ours.append(of_minutes(0, 3, "ours"))
    await others.append(of_minutes(20, 3, "others"))

    assert await ours.pending_ids(ALWAYS) == {"ours-0", "ours-10", "others-0", "others-10"}
    assert await others.pending_ids(ALWAYS) == await ours.pending_ids(ALWAYS)

    await ours.mark_merged(["ours-0", "others-0"])

    assert await ours.pending_ids(ALWAYS) == {"ours-10", "others-10"}
    assert set(await ours.unmerged_ids()) == {"ours-10", "others-10"}


async def test_only_what_has_readings_of_the_time_in_question_is_read(database: Database) -> None:
    """Else each question about a morning would cost what a flood of the past holds; ours and those of others."""
    ours, others = CountingLog(database), LogStore(database)
    await ours.append(of_minutes(0, 3, "ours"))
    await others.append(of_minutes(20, 3, "others"))
    await others.mark_merged(["others-10"])
    await database["readings_unmerged"].insert_one({"_id": "others-10", "partition": 3, "logged_by": "gone"})
    await database["readings_loggers"].insert_one({"_id": "gone"})
    reader = TailReader(Tail(1000), ours)
    period = Period(START_MS + 5 * MINUTE_MS, START_MS + 10 * MINUTE_MS)

    pending = await reader.pending(["m-1"], period)

    # The mark of a release that did not tell the time is looked into.
    assert set(await ours.pending_ids(period)) == {"ours-0", "ours-10", "others-10"}
    assert sorted(ours.loaded) == ["others-10", "ours-0", "ours-10"]
    assert sum(map(len, pending.values())) == 5


async def test_what_is_logged_together_of_a_partition_has_one_mark_that_shrinks_with_every_fold(
    database: Database,
) -> None:
    """A mark for each segment would cost the store several times what the segment costs."""
    log, marks = LogStore(database), database["readings_unmerged"]
    await log.append([*of_minutes(0, 3, "a"), *of_minutes(20, 3, "b"), *of_minutes(40, 4, "c")])
    assert await marks.count_documents({}) == 2

    await log.mark_merged(["a-0", "c-0", "c-10", "b-10"])

    assert await marks.count_documents({}) == 1
    assert sorted(await log.unmerged_ids()) == ["a-10", "b-0"]

    await asyncio.gather(log.mark_merged(["a-10"]), LogStore(database).mark_merged(["b-0"]))

    assert await log.unmerged_ids() == []
    assert await marks.count_documents({}) == 0


async def test_what_two_fold_of_one_mark_leaves_nothing_of_it(database: Database) -> None:
    """Neither knows what the other took meanwhile."""
    ours, others = LogStore(database), LogStore(database)
    await ours.append(of_minutes(0, 3, "old"))
    await others.unmerged([3])

    await ours.mark_merged(["old-0"])
    await others.mark_merged(["old-10"])

    assert await database["readings_unmerged"].count_documents({}) == 0


async def test_more_marks_than_are_known_are_looked_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and every mark goes in the end."""
    monkeypatch.setattr("billing.log.unmerged_store._REMEMBERED_MAXIMUM", 2)
    log = LogStore(database)
    for partition in (3, 4, 5):
        await log.append(of_minutes(0, partition, f"of-{partition}"))

    await log.mark_merged(["of-4-0", "of-5-0"])
    assert sorted(await log.unmerged_ids()) == ["of-3-0", "of-3-10", "of-4-10", "of-5-10"]
    await log.mark_merged(["of-5-10", "of-3-0", "of-3-10", "of-4-10"])

    assert await database["readings_unmerged"].count_documents({}) == 0


async def test_what_another_replica_folded_of_ours_is_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be read again at every question, for ever."""
    monkeypatch.setattr("billing.log.unmerged_store._COMPARE_SECONDS", 0.0)
    ours, others = LogStore(database), LogStore(database)
    await ours.append(of_minutes(0, 3, "ours"))

    await others.mark_merged(["ours-0"])

    assert await ours.pending_ids(ALWAYS) == {"ours-10"}


async def test_more_than_is_remembered_is_asked_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and nothing is missed; when few are left they are remembered again."""
    monkeypatch.setattr("billing.log.unmerged_store._COMPARE_SECONDS", 0.0)
    monkeypatch.setattr("billing.log.unmerged_store._REMEMBERED_MAXIMUM", 3)
    ours = LogStore(database)
    await ours.append([*of_minutes(0, 3, "old"), *of_minutes(20, 3, "new")])

    assert set(await ours.pending_ids(ALWAYS)) == {"old-0", "old-10", "new-0", "new-10"}
    await ours.mark_merged(["old-0", "old-10"])
    assert set(await ours.pending_ids(ALWAYS)) == {"new-0", "new-10"}
    await ours.append(of_minutes(40, 3, "more")[:1])
    assert set(await ours.pending_ids(ALWAYS)) == {"new-0", "new-10", "more-0"}


@pytest.mark.parametrize("most", [100, 3, 1])
async def test_what_is_logged_while_ours_are_compared_is_not_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The store may have answered before it; else a question would miss what only the log holds."""
    monkeypatch.setattr("billing.log.unmerged_store._COMPARE_SECONDS", 0.0)
    monkeypatch.setattr("billing.log.unmerged_store._REMEMBERED_MAXIMUM", most)
    marks = UnmergedStore(database)
    old, new = of_minutes(0, 3, "old"), of_minutes(20, 3, "new")
    await marks.mark(old)
    ask, answered = asyncio.Event(), asyncio.Event()
    periods_of = marks._periods_of

    async def slow_answer(logger: str) -> dict[str, Period]:
        found = await periods_of(logger)
        answered.set()
        await ask.wait()
        return found

    monkeypatch.setattr(marks, "_periods_of", slow_answer)
    asking = asyncio.create_task(marks.pending_ids(ALWAYS))
    await answered.wait()
    await marks.mark(new)
    ask.set()
    await asking
    monkeypatch.setattr("billing.log.unmerged_store._COMPARE_SECONDS", 3600.0)

    assert set(await marks.pending_ids(ALWAYS)) == {"old-0", "old-10", "new-0", "new-10"}
