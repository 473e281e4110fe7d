"""The consumers of a process, started and stopped one by one while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar


class PartitionConsumer(Protocol):
    """What a service does with the deliveries of one partition."""

    @property
    def is_subscribed(self) -> bool:
        """Whether the broker sends deliveries, or would if the queue had any and nobody else were first."""

    @property
    def in_hand_count(self) -> int:
        """Deliveries that the broker has sent and that are not settled yet."""

    def require_progress(self) -> None:
        """Checks that deliveries in hand get settled.

        Raises:
            NoProgress: they do not.
        """

    async def subscribe(self) -> None:
        """Keeps the subscription until cancelled."""

    async def run(self) -> None:
        """Works on what is delivered until cancelled."""

    async def stop(self) -> None:
        """Takes no more, and returns when what is in hand has its effect and is acknowledged."""


ConsumerT = TypeVar("ConsumerT", bound=PartitionConsumer)


@dataclass(slots=True)
class _Kept(Generic[ConsumerT]):
    """A consumer and its life."""

    consumer: ConsumerT
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class PartitionConsumers(Generic[ConsumerT]):
    """A consumer for each wanted partition, as an async context manager: entered for as long as anything may run.

    `make` makes the consumer of a partition; `prepare` returns when its queue is there. A consumer that fails ends the
    context with its error. `on_end`, if set, is called whenever one has stopped.
    """

    def __init__(self, make: Callable[[int], ConsumerT], prepare: Callable[[int], Awaitable[None]]) -> None:
        self._make = make
        self._prepare = prepare
        self._kept: dict[int, _Kept[ConsumerT]] = {}
        self._tasks = asyncio.TaskGroup()
        self._closed = False
        self.on_end: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that have a consumer, one that is just stopping among them."""
        return frozenset(self._kept)

    @property
    def running(self) -> list[ConsumerT]:
        """The consumers that are meant to go on; a scrape asks from a thread of its own, so the list is copied."""
        return [kept.consumer for kept in list(self._kept.values()) if not kept.stop.is_set()]

    @property
    def in_hand_count(self) -> int:
        """Deliveries that are with the consumers and not settled yet."""
        return sum(consumer.in_hand_count for consumer in self.running)

    def unsubscribed(self) -> list[int]:
        """The partitions whose consumer does not get its deliveries now."""
        return sorted(
            partition
            for partition, kept in self._kept.items()
            if not kept.stop.is_set() and not kept.consumer.is_subscribed
        )

    def require_progress(self) -> None:
        """Checks that every consumer gets done what it has in hand.

        Raises:
            NoProgress: one does not.
        """
        for consumer in self.running:
            consumer.require_progress()

    def keep(self, wanted: Collection[int]) -> None:
        """Starts what is wanted and missing, stops what is not wanted; call it again, and what could not be is made up.

        A partition whose consumer is just stopping gets a new one only after that.
        """
        for partition, kept in self._kept.items():
            if partition not in wanted:
                kept.stop.set()
        if self._closed:
            return
        for partition in wanted:
            if partition not in self._kept:
                kept = self._kept[partition] = _Kept(self._make(partition))
                kept.task = self._tasks.create_task(self._live(partition, kept), name=f"consumer_{partition}")

    async def stop(self) -> None:
        """Starts no more, and returns when every consumer has finished what it holds."""
        self._closed = True
        self.keep(())
        if tasks := [kept.task for kept in self._kept.values() if kept.task is not None]:
            await asyncio.wait(tasks)

    async def _live(self, partition: int, kept: _Kept[ConsumerT]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                work = [tasks.create_task(self._subscribe(partition, kept.consumer))]
                work.append(tasks.create_task(kept.consumer.run()))
                await kept.stop.wait()
                await kept.consumer.stop()
                for task in work:
                    task.cancel()
        finally:
            del self._kept[partition]
            if self.on_end is not None:
                self.on_end()

    async def _subscribe(self, partition: int, consumer: ConsumerT) -> None:
        await self._prepare(partition)
        await consumer.subscribe()
