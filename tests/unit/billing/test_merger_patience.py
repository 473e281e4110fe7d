"""How far folding stands aside for a log that is always being written."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from billing.cold.merger import Merger, MergeSettings
from billing.cold.merger_metrics import MergerMetrics
from billing.log.kind_columns import LoggedReading
from billing.log.schema import METER
from billing.log.segment import Segment
from billing.log.tail import Tail

READING = LoggedReading("meter", "m-1", 0, 60_000, 0, 1, (1, *(None,) * (len(METER.columns) - 1)))


class BusyLog:
    """A log that is never idle, and remembers how long it was waited for."""

    busy_share = 1.0

    def __init__(self) -> None:
        """Nobody has waited yet."""
        self.waits: list[float] = []

    async def wait_idle(self, limit_seconds: float) -> None:
        """The whole limit passes, in no time here."""
        self.waits.append(limit_seconds)

    async def unmerged(self, partitions: object) -> list[tuple[int, str]]:  # noqa: ARG002
        """Nothing is left from before."""
        return []

    async def mark_merged(self, batch_ids: Sequence[str]) -> None:
        """Takes note."""


class Store:
    """Takes whatever is folded."""

    async def insert_fresh(self, *_: Any) -> list[Any]:
        """Every span is new."""
        return []

    async def advance(self, *_: Any) -> None:
        """Every reading is the newest."""

    async def count(self) -> int:
        """Nothing is set aside."""
        return 0


def merger_of(log: BusyLog, tail: Tail, waited_seconds: float, wait_seconds: float) -> Merger:
    """A merger with something in its tail that has waited so long."""
    store = Store()
    tail.hold(Segment.of("b-1", 0, "w", 1, 1, 2, [READING]), 100.0)
    return Merger(
        tail=tail,
        log=log,  # type: ignore[arg-type]
        history=store,  # type: ignore[arg-type]
        live=store,  # type: ignore[arg-type]
        partitions=lambda: frozenset({0}),
        settings=MergeSettings(wait_seconds=wait_seconds, readings_per_round=100, search_seconds=60.0),
        metrics=MergerMetrics(CollectorRegistry()),
        publish=lambda _: None,
        give_way=log,
        clock=lambda: 100.0 + waited_seconds,
        quarantine=store,  # type: ignore[arg-type]
    )


async def waits_when(waited_seconds: float) -> list[float]:
    """How long folding waits for the log before it writes something that has waited so long."""
    log, tail = BusyLog(), Tail(1000)
    merger = merger_of(log, tail, waited_seconds, wait_seconds=0.1)
    running = asyncio.ensure_future(merger.run())
    async with asyncio.timeout(10):
        while tail.reading_count:  # noqa: ASYNC110 - the tail has no event for it
            await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return log.waits


@pytest.mark.parametrize(("waited_seconds", "is_shorter"), [(2.0, False), (25.0, True)])
async def test_what_has_waited_longer_stands_aside_for_less_long(waited_seconds: float, is_shorter: bool) -> None:
    """A log under load goes first, for a while."""
    (soon,) = await waits_when(1.0)

    (wait,) = await waits_when(waited_seconds)

    assert (wait < soon / 2) == is_shorter


async def test_what_has_waited_too_long_is_folded_though_the_log_is_never_idle() -> None:
    """Else a log that is always written would keep readings from ever being folded."""
    assert await waits_when(31.0) == []


@pytest.mark.parametrize(("busy_share", "due_after_seconds"), [(0.0, 1.0), (0.5, 3.5), (1.0, 6.0)])
async def test_readings_wait_longer_for_company_while_the_log_is_being_written(
    busy_share: float, due_after_seconds: float
) -> None:
    """The more of a span is folded at once, the less each reading costs the store that the log needs, too."""
    log = BusyLog()
    log.busy_share = busy_share

    assert not await merger_of(log, Tail(1000), due_after_seconds - 0.1, wait_seconds=1.0).fold_due()
    assert await merger_of(log, Tail(1000), due_after_seconds + 0.1, wait_seconds=1.0).fold_due()
