"""Several streams to ingestion, each on a connection of its own, so that several workers there share the Parts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gateway.ingestion_client import IngestionClient


class IngestionStreams:
    """Spreads Parts over the clients: a partition always goes the same way, so its Parts still travel together."""

    def __init__(self, clients: Sequence[IngestionClient]) -> None:
        self._clients = tuple(clients)

    async def submit(self, parts: Mapping[int, bytes], timeout_seconds: float) -> None:
        """Returns when every Part (serialised, by partition; at least one) is durable.

        Raises:
            Overloaded: the queues stayed full for so long.
            DependencyUnavailable: ingestion, or the broker behind it, stayed away for so long.
        """
        shares: dict[int, dict[int, bytes]] = {}
        for partition, part in parts.items():
            shares.setdefault(partition % len(self._clients), {})[partition] = part
        if len(shares) == 1:
            ((number, share),) = shares.items()
            await self._clients[number].submit(share, timeout_seconds)
            return
        submitting = [self._clients[number].submit(share, timeout_seconds) for number, share in shares.items()]
        for failure in await asyncio.gather(*submitting, return_exceptions=True):
            if failure is not None:
                raise failure

    def give_up(self) -> None:
        """Fails whatever is not durable yet, and whatever comes from now on: the gateway is about to end."""
        for client in self._clients:
            client.give_up()
