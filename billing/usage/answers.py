"""Answers questions about a device from the cache where that is right, and from the store where it is not."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import TypeVar

from google.protobuf.message import Message
from prometheus_client import CollectorRegistry, Counter
from redis.exceptions import RedisError

from billing.live.answer_cache import AnswerCache, CachedAnswer
from billing.live.live_publisher import LivePublisher
from common.logs import get_logger

Answer = TypeVar("Answer", bound=Message)

_log = get_logger(__name__)


class Answers:
    """The way to an answer. What this process has logged and the cache has not heard of is never passed over."""

    def __init__(self, cache: AnswerCache, publisher: LivePublisher, registry: CollectorRegistry) -> None:
        self._cache = cache
        self._publisher = publisher
        self._given = Counter(
            "billing_answers", "Answers about a device, from the cache or the store.", ["source"], registry=registry
        )

    async def about(
        self, device_id: str, question: Message, kind: type[Answer], make: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer, of a kind of message, to a question about one device; `make` makes it from the store.

        It is one that held a moment ago and still does, so what it is complete through may be a moment old, too.
        Raises what `make` raises.
        """
        name = _name(question)
        known = await self._open(device_id, name)
        if known is not None and known.answer is not None:
            self._given.labels("cache").inc()
            return kind.FromString(known.answer)
        answer = await make()
        self._given.labels("store").inc()
        if known is not None:
            with suppress(RedisError):
                await self._cache.put(device_id, name, known.opened, answer.SerializeToString())
        return answer

    async def end(self, device_ids: Sequence[str]) -> None:
        """Says that something else than readings has changed what is answered about devices."""
        try:
            await self._cache.end(device_ids)
        except RedisError as away:
            _log.warning("answers_not_ended", devices=len(device_ids), cause=type(away).__name__)

    async def _open(self, device_id: str, name: bytes) -> CachedAnswer | None:
        if self._cache.is_off or self._publisher.is_behind or self._publisher.waiting([device_id]):
            return None
        try:
            return await self._cache.open(device_id, name)
        except RedisError:
            return None


def _name(question: Message) -> bytes:
    told = question.DESCRIPTOR.full_name.encode() + b"\0" + question.SerializeToString(deterministic=True)
    return blake2b(told, digest_size=16).digest()
