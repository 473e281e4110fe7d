"""Redis in front of the hot collections: the newest reading of each device; never the truth."""

from binascii import hexlify
from collections.abc import Iterator, Sequence

from redis.asyncio import Redis

from billing.live import Latest
from billing.newest import Newest, packed_rows, unpacked
from billing.schema import KINDS

_KEYS_PER_CALL = 500
# A cache that was cut off and comes back with old values must not be believed for ever.
_EXPIRY_SECONDS = 3600

# The packed readings sort as readings do; as hexadecimal they do in every locale that Lua may compare in.
_SET_IF_NEWER = """
for i, key in ipairs(KEYS) do
  local known = redis.call('GET', key)
  if not known or ARGV[i] > known then
    redis.call('SET', key, ARGV[i], 'EX', {expiry})
  end
end
""".replace("{expiry}", str(_EXPIRY_SECONDS))

_SEPARATOR = b":"


class LiveCache:
    """Keeps the newest reading of each device, packed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._set_if_newer = redis.register_script(_SET_IF_NEWER)

    async def advance(self, newest: Newest) -> None:
        """Takes newest readings in; an older one changes nothing.

        Raises:
            redis.exceptions.RedisError: the cache is away; nothing but speed depends on it.
        """
        keys = [_key(device_id) for device_id in newest.device_ids()]
        values = list(_values(newest))
        for first in range(0, len(keys), _KEYS_PER_CALL):
            some = slice(first, first + _KEYS_PER_CALL)
            await self._set_if_newer(keys=keys[some], args=values[some])

    async def find(self, device_ids: Sequence[str]) -> dict[str, Latest]:
        """The newest readings of some devices, of those that are cached.

        Raises:
            redis.exceptions.RedisError: the cache is away.
        """
        if not device_ids:
            return {}
        answers = await self._redis.mget([_key(device_id) for device_id in device_ids])
        found = {
            device_id: _latest(device_id, answer)
            for device_id, answer in zip(device_ids, answers, strict=True)
            # The client is opened without decoding, so that is what there is.
            if isinstance(answer, bytes)
        }
        return {device_id: latest for device_id, latest in found.items() if latest is not None}


def _key(device_id: str) -> str:
    return f"newest:{device_id}"


def _values(newest: Newest) -> Iterator[bytes]:
    packed = packed_rows(newest.gathered)
    kind = _SEPARATOR + newest.gathered.columns.kind.name.encode()
    text, width = hexlify(packed.tobytes()), 2 * packed.shape[1]
    return (text[at : at + width] + kind for at in range(0, len(text), width))


def _latest(device_id: str, value: bytes) -> Latest | None:
    """The reading of a cached value; None when it is of another version of the schema."""
    text, _, kind = value.partition(_SEPARATOR)
    try:
        return unpacked(KINDS[kind.decode()], device_id, bytes.fromhex(text.decode()))
    except (KeyError, ValueError):
        return None
