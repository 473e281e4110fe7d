"""Drives a fleet's simulated day through the whole mesh and finds out what became of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

import grpc
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_VEHICLE, Device

from loadgen import demo_page, demo_questions, demo_report, demo_tariffs
from loadgen.background import in_background
from loadgen.connection import Addresses, connected
from loadgen.demo_bill import CheckedBill, LocalDays, bill_if_possible, checked_bill
from loadgen.demo_day import SimulatedDay, simulated_day
from loadgen.demo_questions import Period
from loadgen.demo_report import DemoReport
from loadgen.disturbance import Disturbance, DisturbanceShares
from loadgen.pacing import Pacing
from loadgen.probe import LatencyProber
from loadgen.progress import Progress
from loadgen.region_capacities import SHIPPED_FILE, read_capacities, set_capacities
from loadgen.registration import link_vehicles, register_devices
from loadgen.replay import Replay, describe, open_demo_replay, send_replay
from loadgen.run import drive
from loadgen.streams import AckObserver, Streams
from loadgen.tally import Tally

SPEED = 1200.0
"""A simulated day in 72 seconds: slow enough to be seen, and to leave the servers their share of two cores."""

FRAME_SIZE = 1000
"""As large as frames may be: what a reading costs the mesh falls with the size of the batch it travels in."""

SHARES = DisturbanceShares(duplicates=0.01, late=0.005, malformed=0.002)
STORE_LIMIT_SECONDS = 75.0
PROBE_LIMIT_SECONDS = 8.0
_PROBE_SEED = 7

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demonstration is told: where the mesh is, what to replay, where to report, how to show progress."""

    addresses: Addresses
    run_dir: Path
    started_at_seconds: float
    """When the set-up began, seconds since 1970."""
    file: Path | None = None
    time_zone: str | None = None
    """Of the file; None lets the file tell."""
    live_bar: bool = False
    speed: float = SPEED


async def run_demo(settings: DemoSettings, output: TextIO) -> int:
    """The whole demonstration; the exit code: 0 when the books balance and every question was answered.

    Raises:
        MeshAway: a service does not answer.
        GatewayAway, TimeoutError: readings could not be sent.
        FileError: the file cannot be read.
        RegistrationRefused: the registry does not take a device.
        grpc.aio.AioRpcError: a call failed.
    """
    began_seconds = time.time()
    report = DemoReport(setup_seconds=max(began_seconds - settings.started_at_seconds, 0.0))
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(connected("gateway", settings.addresses.gateway))
        billing = await stack.enter_async_context(connected("billing", settings.addresses.billing))
        analytics = await stack.enter_async_context(connected("analytics", settings.addresses.analytics))
        demo = _Demo(settings, gateway=gateway, billing=billing, analytics=analytics, report=report, output=output)
        await demo.run(simulated_day(round(began_seconds * 1000)))
    report.run_seconds = time.time() - began_seconds
    demo_report.write_json(report, settings.run_dir / "demo" / "report.json")
    output.write(demo_page.render(report, settings.addresses))
    output.flush()
    return 1 if report.problems else 0


class _Demo:
    """The steps of the demonstration, each adding to the report."""

    def __init__(
        self,
        settings: DemoSettings,
        *,
        gateway: grpc.aio.Channel,
        billing: grpc.aio.Channel,
        analytics: grpc.aio.Channel,
        report: DemoReport,
        output: TextIO,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._billing = billing
        self._analytics = analytics
        self._report = report
        self._output = output
        self._tally = Tally()
        self._prober = LatencyProber(
            billing, seed=_PROBE_SEED, log_latency=report.log_latency, hot_latency=report.hot_latency
        )
        self._began_seconds = time.monotonic()

    async def run(self, day: SimulatedDay) -> None:
        """Registers, sends, waits for the store, asks."""
        await self._prepare(day)
        await self._send_day(day)
        replay = await self._replay(self._settings.file) if self._settings.file is not None else None
        device_ids = [device.device_id for device in day.devices]
        periods = [Period(device_ids, day.days.start_ms, day.days.end_ms)]
        if replay is not None and replay.device is not None:
            periods.append(Period([replay.device.device_id], replay.account.start_ms, replay.account.end_ms))
        await self._balance(periods)
        await self._prober.read_log_times(PROBE_LIMIT_SECONDS)
        await self._ask(day)
        if replay is not None and replay.device is not None:
            await self._bill_replay(replay, replay.device)

    async def _prepare(self, day: SimulatedDay) -> None:
        links = day.fleet.links()
        self._say(f"Registering {len(day.devices)} devices, {len(links)} links of chargers and 2 tariffs.")
        await register_devices(self._gateway, day.devices)
        await link_vehicles(self._gateway, links)
        await set_capacities(self._analytics, read_capacities(SHIPPED_FILE))
        await demo_tariffs.create_tariffs(self._billing)
        meter_ids = day.ids_of(DEVICE_KIND_METER)
        for tariff_id, ids in ((demo_tariffs.TIME_OF_USE_ID, meter_ids[::2]), (demo_tariffs.FLAT_ID, meter_ids[1::2])):
            await demo_tariffs.assign_tariff(self._billing, tariff_id, ids, start_ms=day.days.start_ms)

    async def _send_day(self, day: SimulatedDay) -> None:
        report, spec = self._report, day.fleet.spec
        self._say(f"Sending {day.days.first:%A %d %B %Y} of {spec.time_zone}, a reading a minute of each device.")
        total = round(day.reading_count * (1 + SHARES.duplicates + SHARES.malformed))
        progress = self._progress("Readings", total)
        prober = self._prober
        disturbance = Disturbance(SHARES, seed=spec.seed, now_ms=lambda: round(time.time() * 1000))
        async with (
            in_background(prober.run(), "latency-prober"),
            self._streams(prober.offer, lambda _: progress.update()) as streams,
        ):
            steps = progress.clocked(disturbance.apply(day.readings()), day.clock_at)
            await drive(steps, streams, pacing=Pacing(speed=self._settings.speed), interval_ms=spec.interval_ms)
            report.readings_sent += streams.sent
            await prober.settle()
        progress.close()

    async def _replay(self, file: Path) -> Replay:
        """Sends the file as a meter of its own."""
        self._say(f"Replaying {file.name}.")
        replay = await open_demo_replay(file, self._settings.time_zone, self._gateway)
        progress = self._progress("Readings of the file", None)
        async with self._streams(lambda _: progress.update()) as streams:
            await send_replay(replay, streams, pacing=Pacing())
            self._report.readings_sent += streams.sent
        progress.close()
        self._report.replay = describe(replay)
        return replay

    async def _balance(self, periods: list[Period]) -> None:
        """Waits until the store holds what was acked, and closes the books."""
        report, tally = self._report, self._tally
        report.readings_acked = tally.acked
        report.readings_duplicate = tally.duplicates
        report.readings_resent = tally.resent
        report.readings_refused_by_reason = dict(tally.refused_by_reason)
        self._say("Waiting until the store holds what was acked.")
        question = demo_questions.wait_until_stored(
            self._billing, periods, tally.distinct_of, limit_seconds=STORE_LIMIT_SECONDS
        )
        stored = await self._answer("the readings stored", question)
        if stored is None:
            return
        report.readings_stored = stored
        self._say(f"The store holds {report.readings_stored:,} readings. Asking for a bill, a vehicle and the fleet.")
        if not report.adds_up:
            report.problems.append(
                f"the store holds {report.readings_stored:,} readings, with {report.readings_duplicate:,} duplicates "
                f"that is not the {report.readings_acked:,} that were acked"
            )

    async def _ask(self, day: SimulatedDay) -> None:
        """A bill, a vehicle, the fleet; a question without an answer is a problem, and the others are still asked."""
        report, days = self._report, day.days
        bill = await self._answer("a bill", checked_bill(self._billing, day.ids_of(DEVICE_KIND_METER)[0], days))
        if bill is not None:
            report.bill, report.bill_checked_readings = bill.invoice, bill.reading_count
            report.problems += bill.problems
        report.performance = await self._answer(
            "a vehicle's performance",
            demo_questions.find_performance(
                self._analytics, day.ids_of(DEVICE_KIND_VEHICLE), days.start_ms, days.end_ms
            ),
        )
        report.fleet = await self._answer("the fleet", demo_questions.get_fleet_summary(self._analytics))

    async def _bill_replay(self, replay: Replay, device: Device) -> None:
        days = LocalDays.around(replay.account.start_ms, replay.account.end_ms, device.time_zone)
        question: Awaitable[CheckedBill | str] = bill_if_possible(self._billing, device.device_id, days)
        bill = await self._answer("the replayed file's bill", question)
        if isinstance(bill, str):
            self._report.replay.append(f"  {bill}")
        elif bill is not None:
            self._report.replay_bill = bill.invoice
            self._report.replay.append(f"  bill checked against {bill.reading_count:,} readings")
            self._report.problems += bill.problems

    async def _answer(self, what: str, question: Awaitable[AnswerT]) -> AnswerT | None:
        """The answer; None, and a problem in the report, when there is none."""
        try:
            answer = await question
        except grpc.aio.AioRpcError as error:
            self._report.problems.append(f"no answer about {what}: {error.code().name}, {error.details()}")
            return None
        if answer is None:
            self._report.problems.append(f"no answer about {what}: there is none")
        return answer

    def _streams(self, *observers: AckObserver) -> Streams:
        return Streams(
            self._gateway,
            tally=self._tally,
            ack_latency=self._report.ack_latency,
            observers=observers,
            frame_size=FRAME_SIZE,
        )

    def _progress(self, title: str, total: int | None) -> Progress:
        return Progress(
            title,
            self._tally,
            self._report.ack_latency,
            total=total,
            output=self._output,
            live_bar=self._settings.live_bar,
        )

    def _say(self, sentence: str) -> None:
        self._output.write(f"{time.monotonic() - self._began_seconds:6.1f} s  {sentence}\n")
        self._output.flush()
