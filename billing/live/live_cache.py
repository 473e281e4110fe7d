"""Redis in front of the hot and cold documents: what the devices that are being asked about do now; never the truth.

An entry begins empty, opened by whoever asks about a device. From then on every write to the log that concerns the
device is joined into it; whoever opened it reads the store after that, joins in what is found there, and only then is
the entry whole. So nothing is missed in between, whoever comes first. Entries live for a while from their beginning and
are never prolonged: whatever is wrong in one, for a process died or Redis came back with old data, is gone with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from billing.live.live_state import LiveState
from billing.live.live_state_codec import from_bytes, to_bytes

_KEYS_PER_CALL = 500
_ENTRY_LIFE_MS = 30_000
_PREFIX = "live:"

# When an entry was opened names it, so that one that has ended is not taken for the one that followed it.
_READ = """
local found = {}
for place, key in ipairs(KEYS) do
  local entry = redis.call('HMGET', key, 'opened', 'version', 'whole', 'state')
  if not entry[1] and ARGV[1] ~= '0' then
    local now = redis.call('TIME')
    entry[1], entry[2] = string.format('%d%06d', now[1], now[2]), '0'
    redis.call('HSET', key, 'opened', entry[1], 'version', entry[2])
    redis.call('PEXPIRE', key, ARGV[1])
  end
  if entry[1] then found[#found + 1] = {place, entry[1], entry[2], entry[3], entry[4]} end
end
return found
"""
_REPLACE = """
local lost = {}
for place, key in ipairs(KEYS) do
  local at = (place - 1) * 3
  local entry = redis.call('HMGET', key, 'opened', 'version')
  if entry[1] == ARGV[at + 2] and entry[2] == ARGV[at + 3] then
    redis.call('HSET', key, 'version', entry[2] + 1, 'state', ARGV[at + 4])
    if ARGV[1] == '1' then redis.call('HSET', key, 'whole', '1') end
  else
    lost[#lost + 1] = place
  end
end
return lost
"""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A device in the cache: its state, if any is known, and whether it is whole or lacks what the store has."""

    opened: bytes
    version: bytes
    is_whole: bool
    state: LiveState | None


class LiveCache:
    """Keeps the states of devices; every method raises redis.exceptions.RedisError when Redis is away."""

    def __init__(self, redis: Redis, entry_life_ms: int = _ENTRY_LIFE_MS) -> None:
        self._redis = redis
        self._entry_life_ms = entry_life_ms
        self._read_script = redis.register_script(_READ)
        self._replace_script = redis.register_script(_REPLACE)

    async def open(self, device_ids: Sequence[str]) -> dict[str, CacheEntry]:
        """The entries of some devices; those that had none have an empty one from now on."""
        return await self._read(device_ids, self._entry_life_ms)

    async def find(self, device_ids: Sequence[str]) -> dict[str, CacheEntry]:
        """The entries of some devices, of those that have one."""
        return await self._read(device_ids, 0)

    async def replace(self, states: Mapping[str, tuple[CacheEntry, LiveState | None]], *, whole: bool) -> list[str]:
        """Puts new states in the place of entries, by device; returns those that somebody else changed or ended.

        `whole` says that the states hold what the store has; an entry that is whole remains so.
        """
        ordered = list(states)
        lost: list[str] = []
        for first in range(0, len(ordered), _KEYS_PER_CALL):
            some = ordered[first : first + _KEYS_PER_CALL]
            arguments = [b"1" if whole else b"0"]
            for device_id in some:
                entry, state = states[device_id]
                arguments += [entry.opened, entry.version, to_bytes(state)]
            places = await self._replace_script(keys=[_PREFIX + device_id for device_id in some], args=arguments)
            lost += [some[place - 1] for place in places]
        return lost

    async def clear(self) -> None:
        """Ends every entry; that is harmless at any time."""
        async for key in self._redis.scan_iter(match=f"{_PREFIX}*", count=1000):
            await self._redis.unlink(key)

    async def _read(self, device_ids: Sequence[str], entry_life_ms: int) -> dict[str, CacheEntry]:
        found = {}
        for first in range(0, len(device_ids), _KEYS_PER_CALL):
            some = device_ids[first : first + _KEYS_PER_CALL]
            keys = [_PREFIX + device_id for device_id in some]
            for place, opened, version, whole, state in await self._read_script(keys=keys, args=[entry_life_ms]):
                device_id = some[place - 1]
                found[device_id] = CacheEntry(opened, version, whole is not None, from_bytes(device_id, state))
        return found
