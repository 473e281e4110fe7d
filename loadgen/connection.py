"""Whether the mesh is there at all, said in one line when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from common.grpc_client import open_channel

CONNECT_TIMEOUT_SECONDS = 5.0


class MeshAway(Exception):
    """Expected: nothing answers at an address of the mesh."""

    def __init__(self, service: str, address: str) -> None:
        super().__init__(
            f"no {service} at {address}: start the mesh with `make up`, or name its address with "
            f"--{service} or {service.upper()}_ADDRESS"
        )


@asynccontextmanager
async def connected(service: str, address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service of the mesh that has answered; closed in the end.

    Raises:
        MeshAway: nothing answered within a few seconds.
    """
    async with open_channel(address) as channel:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await channel.channel_ready()
        except TimeoutError:
            raise MeshAway(service, address) from None
        yield channel


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services of the mesh are, each `host:port`."""

    gateway: str
    billing: str
    analytics: str
