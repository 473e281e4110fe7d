"""One round: load, a fault amid it, recovery, and the comparison of the client's books with what the mesh answers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from random import Random

import grpc

from common.grpc_client import open_channel
from loadgen.registration import register_devices
from loadgen.stream_client import GatewayAway
from tests.faults.answers import PRICE, Answers
from tests.faults.fault import Fault
from tests.faults.health_watch import HealthWatch
from tests.faults.history_check import (
    Findings,
    bill_of,
    check_bills,
    check_readings,
    check_usage,
    check_windows,
    due_of,
    figures_of,
    live_load_of,
    windows_of,
)
from tests.faults.journal import Book, Identity, Journal
from tests.faults.measurement import meters_of, taken_of
from tests.faults.mesh import FaultyMesh
from tests.faults.round_result import Load, RoundResult
from tests.faults.sender import Sender
from tests.faults.traffic import TIME_ZONE, Traffic

_GIVE_UP_SECONDS = 45.0
_IN_FLIGHT_SECONDS = 5.0
_AFTERWARDS_SECONDS = 0.5
_FINISH_SECONDS = 60.0
_CATCH_UP_SECONDS = 30.0
_POLL_SECONDS = 0.05
_LIVE_SECONDS = 10.0
_LOOK_SECONDS = 0.25
_PROBLEMS_SHOWN = 5


class Round:
    """A fault and the load it hits. The seed decides on the readings, on the moment, and on the fault's own chances."""

    def __init__(self, mesh: FaultyMesh, fault: Fault, *, seed: str, prefix: str, load: Load) -> None:
        self.mesh = mesh
        self.random = Random(f"{seed}/{fault.name}")
        self.result = RoundResult(fault.name, seed)
        self.journal = Journal()
        self.traffic = Traffic(prefix, meters=load.meters, seed=f"{seed}/{fault.name}/readings", journal=self.journal)
        self._fault = fault
        self._load = load
        self._sender: Sender | None = None

    @property
    def device_ids(self) -> list[str]:
        """The devices that send."""
        return self.traffic.device_ids

    async def run(self, watch: HealthWatch, answers: Answers) -> RoundResult:
        """Plays it out."""
        begin = time.monotonic()
        try:
            async with open_channel(self.mesh.device_address) as channel:
                await register_devices(channel, self.traffic.devices())
                await answers.price(self.traffic.meter_ids)
                share = math.inf if self._fault.at_full_load else self._fault.load_share
                rate = share * self._load.readings_per_second
                sender = Sender(channel, self.journal, readings_per_second=rate, unary_ids=self.traffic.unary_ids)
                async with sender:
                    await self._disturb(sender, watch, answers)
            self._take(await self.check(answers))
            await self._live_load_agrees(answers)
        except (grpc.aio.AioRpcError, GatewayAway, TimeoutError, RuntimeError) as failure:
            self.complain(f"{type(failure).__name__}: {failure}"[:300])
        self.result.acked = len(self.journal.acked)
        self.result.seconds = round(time.monotonic() - begin, 1)
        return self.result

    async def struck(self) -> None:
        """Returns at a moment when frames are in flight, and notes how many readings."""
        sender = self._sender
        assert sender is not None
        give_up = time.monotonic() + _IN_FLIGHT_SECONDS
        while not sender.in_flight and time.monotonic() < give_up:  # noqa: ASYNC110 - must go on in the same turn
            await asyncio.sleep(0)
        self.result.hit(sender.in_flight)

    def complain(self, problem: str) -> None:
        """Notes what went wrong."""
        self.result.problems.append(problem)

    def note(self, name: str, figure: float) -> None:
        """Notes a figure for the report."""
        self.result.figures[name] = round(figure, 2)

    async def check(self, answers: Answers) -> Findings:
        """Compares everything with the books; to be called when all is acked."""
        device_ids, days, journal = self.traffic.device_ids, self.traffic.days(), self.journal
        await self._caught_up(answers)
        recorded = await answers.readings(device_ids, days)
        due = due_of(journal.sent, journal.acked, recorded)
        billed = figures_of(meters_of(due), taken_of)
        bills = {device_id: bill_of(figures, PRICE) for device_id, figures in billed.items()}
        return Findings.together(
            check_readings(journal.sent, journal.acked, recorded),
            check_usage(figures_of(due), await answers.figures(device_ids, days)),
            check_bills(bills, await answers.bills(self.traffic.meter_ids, days, TIME_ZONE)),
        )

    async def look_back(self, answers: Answers, windows_until: float) -> None:
        """Compares once more, after everything that came later; windows have until an instant, `time.monotonic()`."""
        try:
            findings = await self.check(answers)
        except (grpc.aio.AioRpcError, TimeoutError) as failure:
            self.complain(f"afterwards {type(failure).__name__}: {failure}"[:300])
            return
        if findings.lost > self.result.lost or findings.doubled > self.result.doubled:
            self.complain("the history changed afterwards")
            self._take(findings)
        await self._windows_agree(answers, windows_until)

    async def _live_load_agrees(self, answers: Answers) -> None:
        """Waits until the live load of the region is that of the newest readings, or complains."""
        due = live_load_of(await self._due_of_meters(answers))

        async def wrong() -> list[str]:
            told = await answers.live_load(self.traffic.region)
            agrees = told.meter_count == due.meter_count and math.isclose(told.power_kw, due.power_kw)
            return [] if agrees else [f"the live load is {told} instead of {due}"]

        await self._until_right("live_load", wrong, time.monotonic() + _LIVE_SECONDS)

    async def _windows_agree(self, answers: Answers, until: float) -> None:
        """Waits until the closed windows of the region are what its readings come to, or complains."""
        due = windows_of(await self._due_of_meters(answers))

        async def wrong() -> list[str]:
            return check_windows(due, await answers.windows(self.traffic.region, self.traffic.days()))

        self.note("windows", len(due))
        await self._until_right("windows", wrong, until)

    async def _due_of_meters(self, answers: Answers) -> Book:
        recorded = await answers.readings(self.traffic.meter_ids, self.traffic.days())
        return due_of(meters_of(self.journal.sent), self.journal.acked, recorded)

    async def _until_right(self, what: str, ask: Callable[[], Awaitable[list[str]]], until: float) -> None:
        """Asks what is wrong until nothing is, and complains of what still is when the time is over."""
        begin = time.monotonic()
        while True:
            try:
                wrong = await ask()
            except grpc.aio.AioRpcError as failure:
                wrong = [f"{what}: {failure.code().name}"]
            if not wrong or time.monotonic() >= until:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        self.note(f"{what}_waited_seconds", time.monotonic() - begin)
        self.result.problems += wrong[:_PROBLEMS_SHOWN]

    async def _disturb(self, sender: Sender, watch: HealthWatch, answers: Answers) -> None:
        self._sender = sender
        sender.start(self.traffic.steps())
        await asyncio.sleep(self.random.uniform(*self._load.warm_up_seconds))
        watch.forget()
        await self._fault.inflict(self)
        # Full load is for the blow; what comes after it would only be more to check.
        sender.readings_per_second = min(sender.readings_per_second, self._load.readings_per_second)
        await self._recover(sender, watch, answers, since=time.time())
        self._judge_health(watch.red)
        await asyncio.sleep(_AFTERWARDS_SECONDS)
        await sender.finish(_FINISH_SECONDS)

    async def _recover(self, sender: Sender, watch: HealthWatch, answers: Answers, *, since: float) -> None:
        """Recovered is: what was sent since then is acked and can be read again, and every service is green."""
        witness: Identity | None = None
        waiting_for = "an ack"
        while time.time() - since < _GIVE_UP_SECONDS:
            witness = witness or sender.acked_since(since)
            if witness is None:
                waiting_for = "an ack"
            elif not watch.all_green_since(since):
                waiting_for = "health"
            elif not await answers.can_read(witness):
                waiting_for = "an acked reading to be read"
            else:
                self.result.recovery_seconds = round(time.time() - since, 2)
                return
            await asyncio.sleep(_POLL_SECONDS)
        self.complain(f"not recovered within {_GIVE_UP_SECONDS:g} s, last waiting for {waiting_for}")

    def _judge_health(self, red: frozenset[str]) -> None:
        self.result.red = sorted(red)
        if missing := self._fault.red - red:
            self.complain(f"stayed green: {', '.join(sorted(missing))}")
        if wrong := red - self._fault.red - self._fault.may_be_red:
            self.complain(f"turned red without a reason: {', '.join(sorted(wrong))}")

    async def _caught_up(self, answers: Answers) -> None:
        """Returns when as many readings are stored as were acked, or when waiting for them is over."""
        due = figures_of(self.journal.acked)
        count_due = sum(figures.reading_count for figures in due.values())
        give_up = time.monotonic() + _CATCH_UP_SECONDS
        while time.monotonic() < give_up:
            told = await answers.figures(self.traffic.device_ids, self.traffic.days())
            if sum(figures.reading_count for figures in told.values()) >= count_due and told == due:
                return
            await asyncio.sleep(_POLL_SECONDS)

    def _take(self, findings: Findings) -> None:
        self.result.lost, self.result.doubled = findings.lost, findings.doubled
        self.result.problems += findings.problems[:_PROBLEMS_SHOWN]
        if self.journal.refused:
            self.complain(f"refused: {dict(self.journal.refused)}")
        if not self.journal.acked:
            self.complain("nothing was acked")
