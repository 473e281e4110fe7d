"""Which queues ingestion declares: those of every consuming service, for the partitions it knows so far."""

from __future__ import annotations

from aiormq.abc import AbstractChannel

from common.topology import QueueLimits, declare


class PartitionQueues:
    """Remembers for how many partitions the queues were declared, so that a new connection declares as many."""

    def __init__(self, partitions: int, limits: QueueLimits) -> None:
        self._partitions = partitions
        self._limits = limits

    async def declare(self, channel: AbstractChannel) -> None:
        """Declares what is known."""
        await declare(channel, self._partitions, self._limits)

    async def declare_up_to(self, partitions: int, channel: AbstractChannel) -> None:
        """Declares so many partitions, and from then on always at least as many."""
        await declare(channel, max(partitions, self._partitions), self._limits)
        self._partitions = max(partitions, self._partitions)
