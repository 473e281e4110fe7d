"""Redis in front of the present price of a device; never the truth, and dropped when a tariff is assigned.

An entry ends with the price, and after a minute at the latest, so that one which could not be dropped is soon gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.logs import get_logger

_LIFE_MS = 60_000
_CHANGES_LIFE_MS = 3_600_000
_KEYS_PER_CALL = 500
_PREFIX = "price:"
_CHANGES_PREFIX = "price-changes:"

# Whoever read the store before a change must not put what it found there after it.
_PUT = """
if (redis.call('GET', KEYS[2]) or '') == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
"""

_log = get_logger(__name__)


class PriceCache:
    """Keeps answers as bytes; while Redis is away it holds nothing."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._put = redis.register_script(_PUT)

    async def find(self, device_id: str) -> tuple[bytes | None, bytes | None]:
        """What is kept of a device, and a word to give to `put` with what is found in the store then."""
        try:
            kept, changes = await self._redis.mget(_PREFIX + device_id, _CHANGES_PREFIX + device_id)
        except RedisError as away:
            _log.debug("prices_not_cached", cause=type(away).__name__)
            return None, None
        return _bytes(kept), _bytes(changes) or b""

    async def put(self, device_id: str, word: bytes | None, answer: bytes, life_ms: int) -> None:
        """Keeps an answer, unless something has changed since `find` gave the word, or gave none."""
        if word is None or life_ms <= 0:
            return
        keys = [_PREFIX + device_id, _CHANGES_PREFIX + device_id]
        try:
            await self._put(keys=keys, args=[word, answer, min(life_ms, _LIFE_MS)])
        except RedisError as away:
            _log.debug("prices_not_cached", cause=type(away).__name__)

    async def drop(self, device_ids: Sequence[str]) -> None:
        """Says that something has changed; what is kept is gone, and what is about to be kept is refused."""
        try:
            for first in range(0, len(device_ids), _KEYS_PER_CALL):
                async with self._redis.pipeline(transaction=True) as changes:
                    for device_id in device_ids[first : first + _KEYS_PER_CALL]:
                        changes.incr(_CHANGES_PREFIX + device_id)
                        changes.pexpire(_CHANGES_PREFIX + device_id, _CHANGES_LIFE_MS)
                        changes.delete(_PREFIX + device_id)
                    await changes.execute()
        except RedisError as away:
            _log.warning("prices_not_dropped", devices=len(device_ids), cause=type(away).__name__)


def _bytes(value: bytes | str | None) -> bytes | None:
    # The client answers in bytes; its types allow for one that does not.
    return value.encode() if isinstance(value, str) else value
