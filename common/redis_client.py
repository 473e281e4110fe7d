"""The way to the cache: a bounded pool whose every command gives up after a second, for a cache is never the truth."""

from __future__ import annotations

from collections.abc import Iterable

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError  # noqa: A004 - the driver's own, which its retries know

_TIMEOUT_SECONDS = 1.0
_CONNECTIONS = 16


class _Connection(redis.asyncio.Connection):
    """Also tells as its own error what the event loop says of a connection that was closed under a command."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Sends; raises redis.exceptions.ConnectionError when the connection is gone."""
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as closed:
            raise ConnectionError(str(closed)) from closed


def open_redis(url: str) -> redis.asyncio.Redis:
    """A client that answers in bytes; connects at the first command. Close it with `await client.aclose()`."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        connection_class=_Connection,
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
