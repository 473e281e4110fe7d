"""What every row works with: the way into the mesh, the fleet, the books on what was acked, the processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc

from loadgen.bench.ack_book import AckBook
from loadgen.bench.broker_limit import BareBroker
from loadgen.bench.figures import COUNTING, Figures, read_figures
from loadgen.bench.fleet import BenchFleet
from loadgen.bench.frame_source import Calendar, FrameSource
from loadgen.bench.processes import MeshProcesses, Seconds
from loadgen.bench.raw_streams import LoadFailed
from loadgen.bench.row import Row
from loadgen.bench.schedule import Schedule
from loadgen.bench.settings import BenchSettings, Durations

Send: TypeAlias = Callable[[grpc.aio.Channel, FrameSource, Schedule, AckBook], Awaitable[None]]

_POLL_SECONDS = 0.25
_STALLED_SECONDS = 10.0
_STEP_SECONDS = 0.05
_LAST_ACKS_SECONDS = 60.0


@dataclass(slots=True)
class Rig:
    """The state of one run of the benchmark."""

    settings: BenchSettings
    gateway: grpc.aio.Channel
    billing: grpc.aio.Channel
    analytics: grpc.aio.Channel
    echo: grpc.aio.Channel
    broker: BareBroker
    fleet: BenchFleet
    calendar: Calendar
    say: Callable[[str], None]
    ends_at_seconds: float
    registered: int = 0
    """Devices registered so far, the first ones of the largest fleet."""
    registered_beside: int = 0
    """Devices of fleets that send for one row only."""
    acked: int = 0
    """Readings acked since the beginning, over all rows."""
    dropped: int = 0
    """Readings that analytics never counted, of those acked."""
    unfolded: int = 0
    """Readings that were still to be folded when the last row ended."""
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    base: Figures = field(default_factory=Figures)

    @property
    def durations(self) -> Durations:
        """How long things last."""
        return self.settings.durations

    @property
    def seconds_left(self) -> float:
        """Until the run has to end."""
        return self.ends_at_seconds - time.monotonic()

    def processes(self) -> MeshProcesses:
        """The processes as they are now."""
        return MeshProcesses.find(self.settings.run_dir)

    async def figures(self, processes: MeshProcesses, counted: Collection[str] = COUNTING) -> Figures:
        """What some services have counted since the run began."""
        ports = processes.metrics_ports()
        return await read_figures([port for service in counted for port in ports.get(service, ())]) - self.base

    def source(self, frame_size: int) -> FrameSource:
        """Readings of the fleet at a time that no other row has."""
        return FrameSource(self.fleet, self.calendar.begin(), frame_size=frame_size)

    async def drained(self, limit_seconds: float, is_done: Callable[[Figures], bool]) -> tuple[Figures, bool]:
        """Waits until the services have come so far, move no more, or the time is up.

        Returns how far they are, and whether they were still moving.
        """
        processes = self.processes()
        now_seconds = time.monotonic()
        give_up_seconds = now_seconds + max(0.0, min(limit_seconds, self.seconds_left))
        figures, moved_seconds = await self.figures(processes), now_seconds
        while not is_done(figures) and now_seconds < min(give_up_seconds, moved_seconds + _STALLED_SECONDS):
            await asyncio.sleep(_POLL_SECONDS)
            before, figures, now_seconds = figures, await self.figures(processes), time.monotonic()
            if figures.progress != before.progress:
                moved_seconds = now_seconds
        return figures, now_seconds < moved_seconds + _STALLED_SECONDS

    async def log_drained(self) -> tuple[Figures, bool]:
        """Waits until the consumers have taken what was acked, as `drained` does."""
        acked, dropped = self.acked, self.dropped
        return await self.drained(
            self.durations.log_drain_seconds, lambda now: now.logged >= acked and now.analysed >= acked - dropped
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What happened while a row was measured; `book` has all of the row, warming up included."""

    seconds: float
    acked: int
    cpu: Seconds
    figures: Figures
    book: AckBook

    @property
    def rate(self) -> float:
        """Readings acked a second."""
        return self.acked / self.seconds

    def cpu_shares(self) -> dict[str, float]:
        """CPU of each part in shares of one core."""
        return {part: used / self.seconds for part, used in self.cpu.items()}

    def cpu_microseconds(self) -> dict[str, float]:
        """CPU of each part for each reading that it handled: consumers may be behind or ahead of the acks."""
        handled = {"billing": self.figures.logged, "mongodb": self.figures.logged, "analytics": self.figures.analysed}
        return {
            part: used * 1e6 / readings
            for part, used in self.cpu.items()
            if (readings := handled.get(part, self.acked)) > 0
        }


async def measure(
    rig: Rig,
    send: Send,
    source: FrameSource,
    schedule: Schedule,
    seconds: float,
    *,
    counted: Collection[str] = COUNTING,
) -> Measured:
    """Sends through the gateway, measures for so long after warming up, and returns when all is acked.

    `counted` are the services that are asked how far they are.

    Raises:
        LoadFailed: the mesh ended a stream or a call, or the last acks did not come.
    """
    book = AckBook()
    processes = rig.processes()
    async with under_load(rig, send, source, schedule, book) as sending:
        await lasting(sending, rig.durations.warm_up_seconds)
        figures_before = await rig.figures(processes, counted)
        book.is_measuring = True
        began, cpu_before, acked_before = time.monotonic(), processes.cpu_seconds(), book.acked
        while (
            book.acked - acked_before < rig.durations.row_readings and (left := began + seconds - time.monotonic()) > 0
        ):
            await lasting(sending, min(left, _STEP_SECONDS))
        elapsed, cpu_after, acked = time.monotonic() - began, processes.cpu_seconds(), book.acked - acked_before
        book.is_measuring = False
        figures = await rig.figures(processes, counted) - figures_before
    used = {part: cpu_after[part] - cpu_before[part] for part in cpu_before}
    return Measured(elapsed, acked, used, figures, book)


@asynccontextmanager
async def under_load(
    rig: Rig, send: Send, source: FrameSource, schedule: Schedule, book: AckBook
) -> AsyncIterator[asyncio.Future[None]]:
    """Sends through the gateway beside what is done inside; leaving it ends the schedule and waits for the last acks.

    Raises:
        LoadFailed: the mesh ended a stream or a call, or the last acks did not come.
    """
    sending = asyncio.ensure_future(send(rig.gateway, source, schedule, book))
    try:
        yield sending
        schedule.end()
        async with asyncio.timeout(_LAST_ACKS_SECONDS):
            await sending
    except TimeoutError:
        raise LoadFailed(f"the last acks did not come within {_LAST_ACKS_SECONDS:.0f} s") from None
    finally:
        sending.cancel()
        rig.calendar.use(source)
        rig.acked += book.acked


async def lasting(sending: asyncio.Future[None], seconds: float) -> None:
    """Waits so long beside the sending; its failure comes out at once."""
    done, _ = await asyncio.wait([sending], timeout=seconds)
    if done:
        await sending
        raise LoadFailed("the sending ended early")
