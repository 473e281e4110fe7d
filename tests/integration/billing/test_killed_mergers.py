"""Two mergers on one partition, killed at random, leave the documents that one leaves which nobody disturbs."""

import asyncio
import itertools
import random
import sys
import time
from pathlib import Path

import pytest

from billing.log.log_store import LogStore
from common.localstack.mesh import Mesh
from common.mongo import Database
from tests.integration.billing.merging_process import READY
from tests.integration.billing.readings import MINUTE_MS, meter_readings, segments
from tests.integration.billing.store import PARTITION, store_on
from tests.integration.billing.test_order_at_rest import START_MS as LATE_EVENING_MS
from tests.integration.billing.test_order_at_rest import sent
from tests.integration.billing.test_readings_at_rest import dump

ROOT = Path(__file__).resolve().parents[3]
START_MS = 1_772_323_200_000
LIMIT_SECONDS = 60
POLL_SECONDS = 0.01

Process = asyncio.subprocess.Process


async def started(mongo_url: str, database: Database) -> Process:
    """A merger in a process of its own, at work."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.billing.merging_process", mongo_url, database.name),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT_SECONDS):
        assert (await process.stdout.readline()).decode().strip() == READY
    return process


async def killed(process: Process) -> None:
    """The process is gone, by SIGKILL."""
    process.kill()
    assert await process.wait() < 0


async def unfolded_at_most(log: LogStore, count: int) -> None:
    """Returns when no more segments than this wait to be folded."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while len(await log.unmerged_ids()) > count:
        assert time.monotonic() < deadline, "nobody folds"
        await asyncio.sleep(POLL_SECONDS)


@pytest.mark.parametrize("seed", [1, 2])
async def test_mergers_killed_at_random_give_the_documents_of_one(database: Database, servers: Mesh, seed: int) -> None:
    """Wherever SIGKILL hits, between cold and hot documents or before the mark, the next one folds it again.

    Of meters, vehicles and batteries, with corrections and values that contradict each other.
    """
    random_ = random.Random(seed)
    readings = [one for device in range(3) for one in meter_readings(seed + device, f"m-{device}", START_MS, 200, 0.2)]
    readings += [one for one in sent(seed) if one.start_ms < LATE_EVENING_MS + 40 * MINUTE_MS]
    random_.shuffle(readings)
    some = segments(readings, 12, PARTITION)
    clean_database = database.client[f"{database.name}_clean"]
    clean = await store_on(clean_database)
    await clean.take(some)
    await clean.fold_everything()
    await store_on(database)
    log = LogStore(database)
    first_of_round = [len(some) * place // 3 for place in range(4)]
    mergers = [await started(servers.mongo_url, database) for _ in range(2)]
    try:
        for first, end in itertools.pairwise(first_of_round):
            await log.append(some[first:end])
            await unfolded_at_most(log, random_.randrange((end - first) // 4, end - first))
            victim = random_.randrange(2)
            await killed(mergers[victim])
            if end < len(some):
                mergers[victim] = await started(servers.mongo_url, database)
        await unfolded_at_most(log, 0)
    finally:
        for process in mergers:
            if process.returncode is None:
                await killed(process)

    assert await dump(database) == await dump(clean_database)
    await database.client.drop_database(clean_database.name)
