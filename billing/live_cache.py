"""Redis in front of the hot collections: the newest reading of each device, ready to send; never the truth."""

from collections.abc import Collection, Sequence

from energy.billing.v1.usage_pb2 import LiveReading
from redis.asyncio import Redis

from billing.live import Latest
from billing.reading_codec import to_live_reading

_KEYS_PER_CALL = 500
# A cache that was cut off and comes back with old values must not be believed for ever.
_EXPIRY_SECONDS = 3600

# Numbers decide by number, the tie by its hexadecimal text; hexadecimal sorts alike in every locale Lua may compare in.
_SET_IF_NEWER = """
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 5
  local known = redis.call('HMGET', key, 'start', 'revision', 'receive', 'tie')
  local newer = not known[1]
  for field = 1, 3 do
    if not newer and known[field] then
      local new, old = tonumber(ARGV[at + field]), tonumber(known[field])
      if new > old then newer = true end
      if new < old then known[4] = false break end
    end
  end
  if not newer and known[4] and ARGV[at + 4] > known[4] then newer = true end
  if newer then
    redis.call('HSET', key, 'start', ARGV[at + 1], 'revision', ARGV[at + 2], 'receive', ARGV[at + 3],
      'tie', ARGV[at + 4], 'live', ARGV[at + 5])
  end
  redis.call('EXPIRE', key, {expiry})
end
""".replace("{expiry}", str(_EXPIRY_SECONDS))


class LiveCache:
    """Keeps ready-made answers of `GetLiveReading`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._set_if_newer = redis.register_script(_SET_IF_NEWER)

    async def advance(self, latest: Collection[Latest]) -> None:
        """Takes newest readings in; an older one changes nothing.

        Raises:
            redis.exceptions.RedisError: the cache is away; nothing but speed depends on it.
        """
        ordered = list(latest)
        for first in range(0, len(ordered), _KEYS_PER_CALL):
            some = ordered[first : first + _KEYS_PER_CALL]
            arguments: list[int | str | bytes] = []
            for one in some:
                start_ms, revision, receive_order, tie = one.order
                arguments += [start_ms, revision, receive_order, tie.hex(), to_live_reading(one).SerializeToString()]
            await self._set_if_newer(keys=[_key(one.device_id) for one in some], args=arguments)

    async def find(self, device_ids: Sequence[str]) -> dict[str, LiveReading]:
        """The newest readings of some devices, of those that are cached.

        Raises:
            redis.exceptions.RedisError: the cache is away.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for device_id in device_ids:
            pipeline.hget(_key(device_id), "live")
        answers = await pipeline.execute()
        return {
            device_id: LiveReading.FromString(answer)
            for device_id, answer in zip(device_ids, answers, strict=True)
            if answer is not None
        }


def _key(device_id: str) -> str:
    return f"live:{device_id}"
