"""The commands that only send: a fleet's readings, or those of a file; each ends with a summary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import grpc

from loadgen.connection import connected
from loadgen.disturbance import Disturbance, DisturbanceShares
from loadgen.fleet import Fleet, FleetSpec
from loadgen.latency import LatencyHistogram
from loadgen.pacing import Pacing
from loadgen.progress import Progress
from loadgen.registration import link_vehicles, register_devices
from loadgen.replay import Replay, ReplayedMeter, describe, open_replay, send_replay
from loadgen.run import drive
from loadgen.streams import Streams
from loadgen.summary import summary_lines
from loadgen.tally import Tally


@dataclass(frozen=True, slots=True)
class Sending:
    """How readings are sent, and where that is shown."""

    gateway: str
    output: TextIO
    live_bar: bool = False
    streams: int = 1
    pacing: Pacing = field(default_factory=Pacing)


@dataclass(frozen=True, slots=True)
class FleetRun:
    """Which fleet sends which time, [start_ms, end_ms) in UTC milliseconds, and how it is disturbed."""

    spec: FleetSpec
    start_ms: int
    end_ms: int
    shares: DisturbanceShares

    @property
    def interval_count(self) -> int:
        """Whole intervals in the time."""
        return (self.end_ms - self.start_ms) // self.spec.interval_ms


async def send_fleet(run: FleetRun, sending: Sending) -> int:
    """Registers the fleet and sends its readings; the exit code: 0 when every reading was answered.

    Raises:
        ValueError: there is nobody in the fleet.
        MeshAway, GatewayAway, TimeoutError, RegistrationRefused, grpc.aio.AioRpcError: the mesh does not play along.
    """
    fleet = Fleet(run.spec)
    devices = fleet.devices()
    if not devices:
        raise ValueError("there is nobody in the fleet; ask for meters, vehicles, packs or sensors")
    async with connected("gateway", sending.gateway) as gateway:
        created = await register_devices(gateway, devices)
        await link_vehicles(gateway, fleet.links())
        sending.output.write(f"{len(devices):,} devices, {created:,} of them new\n")
        books = _Books(sending, "Readings", len(devices) * run.interval_count)
        disturbance = Disturbance(run.shares, seed=run.spec.seed, now_ms=lambda: round(time.time() * 1000))
        with books.closing():
            async with books.streams(gateway) as streams:
                steps = disturbance.apply(fleet.readings(run.start_ms, run.end_ms))
                await drive(steps, streams, pacing=sending.pacing, interval_ms=run.spec.interval_ms)
    return books.exit_code


async def send_file(path: Path, meter: ReplayedMeter, sending: Sending) -> int:
    """Registers the file's meter if need be and sends the file; the exit code: 0 when every reading was answered.

    A file in which there is no reading is a failure too: whoever imports it wants to know.

    Raises:
        as `replay_file` does.
    """
    replay, exit_code = await replay_file(path, meter, sending)
    return exit_code if replay.account.readings else 1


async def replay_file(path: Path, meter: ReplayedMeter, sending: Sending) -> tuple[Replay, int]:
    """Sends a file as `send_file` does; the file as it was sent, and the exit code.

    Raises:
        FileError: the file cannot be read.
        MeshAway, GatewayAway, TimeoutError, RegistrationRefused, grpc.aio.AioRpcError: the mesh does not play along.
    """
    async with connected("gateway", sending.gateway) as gateway:
        replay = await open_replay(path, meter, gateway)
        books = _Books(sending, "Readings", None)
        with books.closing():
            async with books.streams(gateway) as streams:
                await send_replay(replay, streams, pacing=sending.pacing)
    sending.output.write("\n".join(describe(replay)) + "\n")
    return replay, books.exit_code


class _Books:
    """Tally, latencies and progress of one run, shown in the end also when the run is broken off."""

    def __init__(self, sending: Sending, title: str, total: int | None) -> None:
        self._sending = sending
        self._tally = Tally()
        self._ack_latency = LatencyHistogram()
        self._progress = Progress(
            title,
            self._tally,
            self._ack_latency,
            total=total,
            output=sending.output,
            live_bar=sending.live_bar,
        )
        self._streams: Streams | None = None

    @property
    def exit_code(self) -> int:
        """0 when every reading was answered."""
        return 0 if self._streams is not None and self._streams.sent == self._tally.answered else 1

    def streams(self, gateway: grpc.aio.Channel) -> Streams:
        """The streams whose acks these books keep."""
        self._streams = Streams(
            gateway,
            tally=self._tally,
            ack_latency=self._ack_latency,
            observers=[lambda _: self._progress.update()],
            count=self._sending.streams,
        )
        return self._streams

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Around the run: closes the progress and shows the summary, whatever happened."""
        started_seconds = time.monotonic()
        try:
            yield
        finally:
            self._progress.close()
            sent = self._streams.sent if self._streams is not None else 0
            seconds = time.monotonic() - started_seconds
            lines = summary_lines(sent, seconds, self._tally, self._ack_latency)
            self._sending.output.write("\n".join(lines) + "\n")
