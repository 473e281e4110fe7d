"""Answers that are given again: only while nothing they stand on has changed, whatever happens to Redis."""

from dataclasses import dataclass, field

import pytest
from energy.billing.v1.usage_pb2 import Usage
from energy.billing.v1.usage_service_pb2 import ListUsageRequest, SummarizeUsageResponse
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from billing.live.answer_cache import AnswerCache
from billing.live.live_cache import LiveCache
from billing.live.live_publisher import LivePublisher
from billing.usage.answers import Answers
from common.redis_client import open_redis
from tests.integration.billing.readings import energy_segment


@dataclass
class Asked:
    """Two processes of billing that share a cache, and a store that is counted how often it is asked."""

    one: Answers
    other: Answers
    publisher: LivePublisher
    cache: AnswerCache
    made: list[int] = field(default_factory=list)
    import_kwh: float = 1.0

    async def make(self) -> SummarizeUsageResponse:
        """What the store says now."""
        self.made.append(len(self.made))
        return SummarizeUsageResponse(total=Usage(import_kwh=self.import_kwh))

    async def answer(self, answers: Answers, device_id: str = "m-1", page_size: int = 1) -> float:
        """The energy that one of the processes answers."""
        question = ListUsageRequest(device_id=device_id, page_size=page_size)
        found = await answers.about(device_id, question, SummarizeUsageResponse, self.make)
        return found.total.import_kwh


def asked_on(redis: Redis) -> Asked:
    """Both on one Redis."""
    cache, registry = AnswerCache(redis, 60), CollectorRegistry()
    publisher = LivePublisher(LiveCache(redis), cache, registry)
    idle = LivePublisher(LiveCache(redis), cache, CollectorRegistry())
    return Asked(Answers(cache, publisher, registry), Answers(cache, idle, CollectorRegistry()), publisher, cache)


@pytest.fixture
def asked(redis: Redis) -> Asked:
    """Both on an empty Redis."""
    return asked_on(redis)


async def test_the_same_question_is_answered_from_the_cache_by_any_process(asked: Asked) -> None:
    """The store is asked once; another question, or one about another device, is another one."""
    answers = [await asked.answer(asked.one), await asked.answer(asked.other)]
    assert (answers, len(asked.made)) == ([1.0, 1.0], 1)

    await asked.answer(asked.one, page_size=2)
    await asked.answer(asked.one, "m-2")
    assert len(asked.made) == 3


async def test_a_reading_ends_the_answers_about_its_device_at_once(asked: Asked) -> None:
    """In the process that logged it before Redis has heard of it, and in the others when it has."""
    await asked.answer(asked.one)
    await asked.answer(asked.one, "m-2")
    asked.import_kwh = 2.0
    asked.publisher.offer_segment(energy_segment("b-1", ("m-1", 0, 7)))

    assert await asked.answer(asked.one) == 2.0
    await asked.publisher.flush()
    assert await asked.answer(asked.other) == 2.0
    assert await asked.answer(asked.other, "m-2") == 1.0


async def test_what_was_read_before_a_reading_is_not_kept_after_it(asked: Asked) -> None:
    """The store was asked, a reading came, and only then the old answer reaches the cache."""

    async def overtaken() -> SummarizeUsageResponse:
        before = await asked.make()
        asked.import_kwh = 2.0
        asked.publisher.offer_segment(energy_segment("b-1", ("m-1", 0, 7)))
        await asked.publisher.flush()
        return before

    await asked.one.about("m-1", ListUsageRequest(device_id="m-1", page_size=1), SummarizeUsageResponse, overtaken)

    assert await asked.answer(asked.one) == 2.0


async def test_a_reading_that_redis_could_not_be_told_of_keeps_the_cache_out(asked: Asked) -> None:
    """From the process that knows of it; when Redis is back it is told, and answers for all."""
    await asked.answer(asked.one)
    asked.import_kwh = 2.0
    there, away = asked.cache._redis, open_redis("redis://127.0.0.1:1")
    asked.publisher._answers = AnswerCache(away, 60)
    asked.publisher.offer_segment(energy_segment("b-1", ("m-1", 0, 7)))

    assert not await asked.publisher.flush()
    assert await asked.answer(asked.one) == 2.0
    asked.publisher._answers = AnswerCache(there, 60)
    assert await asked.publisher.flush()
    assert await asked.answer(asked.other) == 2.0


async def test_without_redis_every_answer_comes_from_the_store(asked: Asked) -> None:
    """Slower, and the same."""
    away = open_redis("redis://127.0.0.1:1")
    alone = Answers(AnswerCache(away, 60), asked.publisher, CollectorRegistry())

    assert [await asked.answer(alone), await asked.answer(alone)] == [1.0, 1.0]
    assert len(asked.made) == 2


async def test_an_answer_ends_with_its_entry_and_is_never_prolonged(asked: Asked, redis: Redis) -> None:
    """What a process that died could not end is gone in time."""
    await asked.answer(asked.one)
    await redis.pexpire("answers:m-1", 20_000)
    await asked.answer(asked.one, page_size=2)

    assert 0 < await redis.pttl("answers:m-1") <= 20_000
