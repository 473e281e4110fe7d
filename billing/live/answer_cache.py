"""Redis in front of bills and usage: answers that were given a moment ago, until anything they stand on changes.

The answers about a device are one entry. It begins when somebody asks, and whoever logs a reading of the device, or
assigns it a tariff, ends it; what was found in the store before that is then not put into it any more. Entries live for
a while from their beginning and are never prolonged, so what another process could not end is gone with them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

_KEYS_PER_CALL = 500
_PREFIX = "answers:"
_ANSWERS_MAXIMUM = 64
# A month of quarter-hours takes 270 kB.
_ANSWER_BYTES_MAXIMUM = 512 << 10

# When an entry was opened names it, so that one that has ended is not taken for the one that followed it.
_OPEN = """
local opened = redis.call('HGET', KEYS[1], 'opened')
if not opened then
  local now = redis.call('TIME')
  opened = string.format('%d%06d', now[1], now[2])
  redis.call('HSET', KEYS[1], 'opened', opened)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {opened, redis.call('HGET', KEYS[1], ARGV[1])}
"""
_PUT = """
if redis.call('HGET', KEYS[1], 'opened') == ARGV[1] and redis.call('HLEN', KEYS[1]) <= tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
end
"""


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """What is kept of a question: its answer, if there is one, and the name of the entry that it belongs into."""

    opened: bytes
    answer: bytes | None


class AnswerCache:
    """Keeps answers as bytes, by device and question; every method raises redis.exceptions.RedisError when it is away.

    A life of 0 turns it off.
    """

    def __init__(self, redis: Redis, life_seconds: float) -> None:
        self._redis = redis
        self._life_ms = int(life_seconds * 1000)
        self._open = redis.register_script(_OPEN)
        self._put = redis.register_script(_PUT)

    @property
    def is_off(self) -> bool:
        """Whether nothing is kept."""
        return self._life_ms == 0

    async def open(self, device_id: str, question: bytes) -> CachedAnswer:
        """What is kept of a question about a device; from now on its answer may be kept."""
        opened, answer = await self._open(keys=[_PREFIX + device_id], args=[question, self._life_ms])
        return CachedAnswer(opened, answer)

    async def put(self, device_id: str, question: bytes, opened: bytes, answer: bytes) -> None:
        """Keeps an answer if the entry is still the one that was opened before the store was asked."""
        if len(answer) <= _ANSWER_BYTES_MAXIMUM:
            await self._put(keys=[_PREFIX + device_id], args=[opened, question, answer, _ANSWERS_MAXIMUM])

    async def end(self, device_ids: Sequence[str]) -> None:
        """Ends the entries of some devices."""
        if self.is_off:
            return
        for first in range(0, len(device_ids), _KEYS_PER_CALL):
            await self._redis.unlink(*(_PREFIX + device_id for device_id in device_ids[first : first + _KEYS_PER_CALL]))

    async def clear(self) -> None:
        """Ends every entry; that is harmless at any time."""
        async for key in self._redis.scan_iter(match=f"{_PREFIX}*", count=1000):
            await self._redis.unlink(key)
