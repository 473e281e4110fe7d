"""`python -m tests.bench_store`: what the store bears, and how long answers take with a day of a whole fleet stored.

It stands here and not in loadgen, for it writes through billing's own code, which no other part may import.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc

from common import logs
from common.mongo import close, open_database
from loadgen.bench import report
from loadgen.bench.machine import OtherWork, describe_machine
from loadgen.bench.row import Row, void_row
from loadgen.connection import connected
from loadgen.latency import LatencyHistogram
from tests.bench_store.asking import Questions, WrongAnswer, growth_row
from tests.bench_store.billing import bills_row
from tests.bench_store.filling import Filler, OutOfTime, days_before
from tests.bench_store.fleet import StoredFleet, correct, register
from tests.bench_store.made_day import DAY_MS, MINUTE_MS
from tests.bench_store.rating import rating_row
from tests.bench_store.settings import FULL, GROWN_DAYS, MONTH_DAYS, QUICK, Size
from tests.bench_store.writing import write_rows

_REPORT = Path("bench-store", "report.json")
_BUSY_HOUR_MS = 18 * 3_600_000
_REGION_QUESTIONS = 20
_CACHED_SECONDS = 31.0
_DAY_ROWS = (
    "live_read_p99",
    "performance_24h_p99",
    "month_usage_p99",
    "region_window_p99",
    "region_usage_p99",
    "bills_made",
)


def main() -> int:
    """0 when no row is void."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench_store", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the devices, in under three minutes")
    size = QUICK if parser.parse_args().quick else FULL
    logs.configure("bench-store", "error")
    return asyncio.run(_run(size, os.environ))


@dataclass(frozen=True, slots=True)
class _Run:
    """What every part of a run goes by."""

    size: Size
    fleet: StoredFleet
    days: list[int]
    filler: Filler
    questions: Questions
    gateway: grpc.aio.Channel
    billing: grpc.aio.Channel
    say: Callable[[str], None]

    @property
    def newest_ms(self) -> int:
        """Where the newest readings start."""
        return self.days[-1] + DAY_MS - MINUTE_MS


async def _run(size: Size, environment: Mapping[str, str]) -> int:
    machine, others, began = describe_machine(), OtherWork(), time.monotonic()
    rows: list[Row] = []

    def say(sentence: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {sentence}\n")
        sys.stdout.flush()

    async with AsyncExitStack() as stack:
        gateway, billing, analytics = [
            await stack.enter_async_context(connected(name, environment[f"{name.upper()}_ADDRESS"]))
            for name in ("gateway", "billing", "analytics")
        ]
        database = open_database(environment["MONGO_URL"], appname="bench-store")
        stack.callback(close, database)
        days = days_before(int(time.time() * 1000) // DAY_MS * DAY_MS, GROWN_DAYS)
        fleet, filler = StoredFleet(f"s{int(time.time()):x}", size), Filler(database)
        run = _Run(size, fleet, days, filler, Questions(billing, analytics), gateway, billing, say)
        say("registering")
        await register(gateway, fleet, days[0])
        say("writing")
        rows += await write_rows(environment["MONGO_URL"], fleet.meters, days[-1], size.write_seconds)
        await filler.prepare()
        growth = await _rows_or_void(("growth_day_usage_p50", "growth_live_read_p50"), _growth_rows(run))
        rows += await _rows_or_void(_DAY_ROWS, _day_rows(run))
        rows += growth
        rows.append(rating_row(size.questions))
    seconds = time.monotonic() - began
    machine |= {"others_cpu_shares": others.shares(set(), seconds), **others.whole(seconds)}
    notes = [f"{filler.documents:,} documents of an hour were filled in by bulk before the questions."]
    found = report.as_json(rows, machine, seconds=round(seconds, 1), notes=notes)
    path = Path(environment.get("GRIDMESH_REPORTS_DIR", ".run")) / _REPORT
    report.write(found, path)
    sys.stdout.write(f"\n{report.table(found)}\nThe report is in {path}.\n")
    return 1 if any(row.void for row in rows) else 0


async def _rows_or_void(names: Sequence[str], measured: Awaitable[list[Row]]) -> list[Row]:
    try:
        return await measured
    except (OutOfTime, WrongAnswer, grpc.aio.AioRpcError) as reason:
        told = reason.details() if isinstance(reason, grpc.aio.AioRpcError) else str(reason)
        return [void_row(name, "ms", told or "a service did not answer") for name in names]


async def _growth_rows(run: _Run) -> list[Row]:
    size, filler = run.size, run.filler
    growing = run.fleet.meters[: size.growing_devices]
    filler.allow(size.fill_seconds)
    run.say("one day of a few devices")
    await filler.day("meter", growing, run.days[-1], is_newest=True)

    async def asked() -> tuple[LatencyHistogram, LatencyHistogram]:
        of_day = await run.questions.day(growing, run.days[-1], size.questions)
        return of_day, (await run.questions.live(growing, run.newest_ms, size.questions))[1]

    one_day, asked_at = await asked(), time.monotonic()
    run.say("ten days of them")
    for day_ms in run.days[:-1]:
        await filler.day("meter", growing, day_ms)
    # Not from the cache, which still knows them for a while.
    await asyncio.sleep(max(0.0, asked_at + _CACHED_SECONDS - time.monotonic()))
    ten_days = await asked()
    return [
        growth_row("growth_day_usage_p50", one_day[0], ten_days[0]),
        growth_row("growth_live_read_p50", one_day[1], ten_days[1]),
    ]


async def _day_rows(run: _Run) -> list[Row]:
    size, fleet, filler, questions = run.size, run.fleet, run.filler, run.questions
    others = fleet.meters[size.growing_devices :]
    filler.allow(size.fill_seconds)
    run.say("the day of all devices")
    await filler.day("meter", others, run.days[-1], is_newest=True)
    await filler.day("vehicle", fleet.vehicles, run.days[-1], is_newest=True)
    run.say("a month of some of them")
    month = days_before(run.days[0], MONTH_DAYS)
    of_month = fleet.meters[: size.month_devices]
    for day_ms in month:
        await filler.day("meter", of_month, day_ms)
    await filler.rolled_up("meter", of_month, month)
    run.say("asking")
    busy_ms = run.days[-1] + _BUSY_HOUR_MS
    # Something that comes late, for what was filled in by bulk has passed analytics by.
    await correct(run.gateway, fleet.meters[0], busy_ms)
    return [
        (await questions.live(others, run.newest_ms, size.questions))[0],
        await questions.performance(fleet.vehicles, run.days[-1], size.questions),
        await questions.month(of_month, month, size.questions),
        await questions.region_window(fleet.region, fleet.region_size, busy_ms, size.questions),
        await questions.region_usage(fleet.region, fleet.region_size, busy_ms, _REGION_QUESTIONS),
        await bills_row(
            run.billing,
            others[: size.billed_devices],
            run.days[-1],
            lambda device_id: questions.quarters(device_id, run.days[-1], 1),
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
