"""The benchmark put together: the way into the mesh, then row after row, then the report."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TextIO

import grpc

from common.grpc_client import open_channel
from loadgen.bench import report
from loadgen.bench.alert_row import DETECTION, alert_rows, fleet_of_now
from loadgen.bench.alert_row import NAME as ALERT_LATENCY
from loadgen.bench.broker_limit import bare_broker
from loadgen.bench.cost_rows import cost_row, memory_rows
from loadgen.bench.echo import running_echo
from loadgen.bench.end_to_end_rows import end_to_end_rows
from loadgen.bench.figures import read_figures
from loadgen.bench.fleet import BenchFleet
from loadgen.bench.frame_source import Calendar
from loadgen.bench.invoice_row import NAME as INVOICED
from loadgen.bench.invoice_row import invoice_row
from loadgen.bench.latency_rows import ack_latency_rows, live_view_row
from loadgen.bench.machine import OtherWork, describe_machine
from loadgen.bench.registering import register_beside, register_up_to
from loadgen.bench.restart_row import NAME as RESTART
from loadgen.bench.restart_row import restart_row
from loadgen.bench.rig import Rig
from loadgen.bench.row import Row, void_row
from loadgen.bench.settings import BenchSettings
from loadgen.bench.stream_rows import ACCEPTANCE, acceptance_row, stream_row, unary_row
from loadgen.bench.trace_row import NAME as TRACES_OFF
from loadgen.bench.trace_row import traces_off_row
from loadgen.connection import connected

REPORT_ORDER = (
    *("stream_ack_500", "stream_ack_100", "stream_ack_1", "unary", "ack_latency_p50", "ack_latency_p99"),
    *(
        "end_to_end",
        "merged",
        "live_view_latency_p99",
        ALERT_LATENCY,
        DETECTION,
        RESTART,
        "memory_",
        "cost_per_reading_",
    ),
)

# Readings of the past, far enough back that no row reaches the present.
_BEGIN_BEFORE_SECONDS = 300 * 86_400
_LEAST_SECONDS_FOR_ROWS = 10.0
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"

Measurement = Callable[[Rig], Awaitable[list[Row]]]


async def run_bench(settings: BenchSettings, output: TextIO) -> int:
    """Measures, writes the report and shows it; the exit code: 0 when no row is void.

    Raises:
        MeshAway: a service does not answer.
        RegistrationRefused: the registry does not take the fleet.
        grpc.aio.AioRpcError: a call beside the load failed.
    """
    began_seconds = time.monotonic()
    machine = describe_machine()
    others = OtherWork()
    async with _rig(settings, output, began_seconds) as rig:
        await register_up_to(rig, settings.devices)
        if settings.is_wanted(ALERT_LATENCY, DETECTION):
            await register_beside(rig, fleet_of_now(rig))
        await _register_largest(rig, settings)
        for names, measurement in _measurements(rig):
            if settings.is_wanted(*names):
                await _add_rows(rig, names, measurement)
                # A run that is broken off leaves what it has found.
                report.write(report.as_json(in_report_order(rig.rows), machine, notes=rig.notes), settings.report)
        processes = rig.processes()
        if settings.is_wanted("memory_"):
            rig.rows += memory_rows(processes.peak_megabytes())
        seconds = time.monotonic() - began_seconds
        machine |= {"others_cpu_shares": others.shares(processes.pids, seconds), **others.whole(seconds)}
        found = report.as_json(in_report_order(rig.rows), machine, seconds=round(seconds, 1), notes=rig.notes)
    report.write(found, settings.report)
    output.write("\n" + report.table(found) + f"\nThe report is in {settings.report}.\n")
    output.flush()
    return 1 if any(row.void for row in rig.rows) else 0


async def _register_largest(rig: Rig, settings: BenchSettings) -> None:
    """Before any load: a registry is filled once, and while folding goes on it takes twice as long."""
    wanted = [devices for devices in rig.durations.cost_fleets if settings.is_wanted(f"cost_per_reading_{devices}")]
    largest = max(wanted, default=0)
    try:
        seconds = await register_up_to(rig, largest)
        if seconds:
            rig.notes.append(
                f"The largest fleet, {largest:,} devices, was registered in {seconds:.0f} s before the load."
            )
    except TimeoutError:
        rig.notes.append("The largest fleet was not registered before the load began.")


def _measurements(rig: Rig) -> Iterator[tuple[tuple[str, ...], Measurement]]:
    """The rows in the order they are measured, by name: what needs an idle mesh first, what floods it last."""
    yield ("unary",), _single(unary_row)
    yield ("stream_ack_1",), _single(partial(stream_row, frame_size=1))
    yield (TRACES_OFF,), _single(traces_off_row)
    yield ("ack_latency_p50", "ack_latency_p99"), ack_latency_rows
    yield ("live_view_latency_p99",), _single(live_view_row)
    # While no more than these devices have sent, so that nobody else is in their regions.
    yield (RESTART,), _single(restart_row)
    yield ("end_to_end", "merged"), end_to_end_rows
    for devices in rig.durations.cost_fleets:
        yield (f"cost_per_reading_{devices}",), _single(partial(cost_row, devices=devices))
    # Its windows and alerts are work for a while after it.
    yield (ALERT_LATENCY, DETECTION), alert_rows
    for frame_size in (100, 500):
        yield (f"stream_ack_{frame_size}",), _single(partial(stream_row, frame_size=frame_size))
    # Takes what time is left, and reads none of what the others have sent.
    yield (INVOICED,), _single(invoice_row)
    yield (ACCEPTANCE,), _single(acceptance_row)


def _cause(failure: Exception) -> str:
    if isinstance(failure, grpc.aio.AioRpcError):
        return f"{failure.code().name}, {failure.details()}"
    return type(failure).__name__


def in_report_order(rows: Sequence[Row]) -> list[Row]:
    """The rows as they are read; those of one beginning stay as they were measured."""
    places = {beginning: place for place, beginning in enumerate(REPORT_ORDER)}
    return sorted(rows, key=lambda row: next((places[start] for start in places if row.name.startswith(start)), 99))


def _single(measurement: Callable[[Rig], Awaitable[Row]]) -> Measurement:
    async def rows(rig: Rig) -> list[Row]:
        return [await measurement(rig)]

    return rows


async def _add_rows(rig: Rig, names: tuple[str, ...], measurement: Measurement) -> None:
    rig.say(", ".join(names))
    if rig.seconds_left < _LEAST_SECONDS_FOR_ROWS:
        rows = [void_row(name, "", "no time was left for it") for name in names]
    else:
        try:
            await _begin_drained(rig, names[0])
            rows = await measurement(rig)
        except (grpc.aio.AioRpcError, OSError) as failure:
            # One row that cannot be measured is no reason to lose the others.
            rows = [void_row(name, "", f"a service did not answer: {_cause(failure)}") for name in names]
    rig.rows += rows
    for row in rows:
        rig.say("  " + _sentence(row))


async def _begin_drained(rig: Rig, name: str) -> None:
    figures, _ = await rig.log_drained()
    if figures.logged < rig.acked:
        rig.notes.append(f"{name} began while {rig.acked - figures.logged:,.0f} readings waited for the log.")


def _sentence(row: Row) -> str:
    if row.value is None:
        return f"{row.name}: void, {row.void}"
    ratio = "" if row.ratio is None else f", {row.ratio:.2f} of the bare limit"
    return f"{row.name}: {row.value:,.1f} {row.unit}{ratio}"


@asynccontextmanager
async def _rig(settings: BenchSettings, output: TextIO, began_seconds: float) -> AsyncIterator[Rig]:
    def say(sentence: str) -> None:
        output.write(f"{time.monotonic() - began_seconds:6.1f} s  {sentence}\n")
        output.flush()

    async with AsyncExitStack() as stack:
        now_seconds = int(time.time())
        # Before any channel is open, for gRPC does not like to be forked.
        echo_address = await stack.enter_async_context(running_echo())
        rig = Rig(
            settings=settings,
            gateway=await stack.enter_async_context(connected("gateway", settings.addresses.gateway)),
            billing=await stack.enter_async_context(connected("billing", settings.addresses.billing)),
            analytics=await stack.enter_async_context(connected("analytics", settings.addresses.analytics)),
            echo=await stack.enter_async_context(open_channel(echo_address)),
            broker=await stack.enter_async_context(bare_broker(settings.amqp_url)),
            fleet=BenchFleet(f"b{_base_36(now_seconds)}", settings.devices),
            calendar=Calendar(now_seconds - _BEGIN_BEFORE_SECONDS),
            say=say,
            ends_at_seconds=began_seconds + settings.durations.run_seconds,
        )
        rig.base = await read_figures(port for ports in rig.processes().metrics_ports().values() for port in ports)
        yield rig


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, len(_BASE_36))
        digits = _BASE_36[digit] + digits
    return digits
