"""Resolves names for calls outside, and lets none lead into a network that is not allowed."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from analytics.notifications.allowed_networks import Network, is_allowed


class ForbiddenAddress(OSError):
    """Expected: a name leads into a network that is not allowed."""


class AllowedResolver(AbstractResolver):
    """Resolves names to addresses that calls may go to; connections are made to just these, so no second look differs.

    A name that leads to any other address is refused whole.
    """

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            ForbiddenAddress: one of them is not allowed.
            OSError: there is no such name, or nobody who knows.
        """
        found = await self._resolver.resolve(host, port, family)
        if not all(is_allowed(one["host"], self._allowed) for one in found):
            raise ForbiddenAddress(f"{host} leads into a network that is not allowed")
        return found

    async def close(self) -> None:
        """Closes what resolves."""
        await self._resolver.close()
