"""The way to the cache: a bounded pool whose every command gives up after a second, for a cache is never the truth."""

from __future__ import annotations

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

_TIMEOUT_SECONDS = 1.0
_CONNECTIONS = 16


def open_redis(url: str) -> redis.asyncio.Redis:
    """A client that answers in bytes; connects at the first command. Close it with `await client.aclose()`."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.1), retries=1),
    )
    return redis.asyncio.Redis.from_pool(pool)


async def ping(client: redis.asyncio.Redis) -> None:
    """Asks the server whether it is there.

    Raises:
        redis.exceptions.RedisError: it is not.
    """
    await client.execute_command("PING")  # type: ignore[no-untyped-call] # untyped in the driver
