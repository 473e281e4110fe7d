"""What the hooks of tracing cost where no collector is set: they are asked, and do nothing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from opentelemetry.trace import SpanKind

from common.delivery_traces import DeliveryTraces
from common.trace_context import current_traceparent
from common.tracing import NO_TRACING
from loadgen.bench.raw_streams import LoadFailed, send_frames
from loadgen.bench.rig import Measured, Rig, measure
from loadgen.bench.row import AIMS, PERCENT, Row, rounded, void_row
from loadgen.bench.schedule import Schedule
from loadgen.bench.stored import fault_in_store, let_fold

NAME = "traces_off_cost"

_METHOD = (
    "Upper bound: the hooks of one frame from the gateway to both consumers, as if it were a batch and a delivery of "
    "its own, timed beside the same steps without them; over the CPU of the four services for a frame of one reading."
)
_SERVICES = ("gateway", "ingestion", "billing", "analytics")
_FRAME_SIZE = 1
_CONSUMERS = 2
# Questions on the way: the request in the gateway; request, Part, batch (twice) and header in ingestion; the fold.
_QUESTIONS = 7
_FRAMES = 20_000
_TRIES = 5
_KIND = SpanKind.INTERNAL


class _Traced(Exception):
    """Unexpected: tracing is on."""


async def traces_off_row(rig: Rig) -> Row:
    """The share of the CPU of a frame that goes into asking whether it is traced, percent."""
    source = rig.source(_FRAME_SIZE)
    try:
        measured = await measure(rig, send_frames, source, Schedule(_FRAME_SIZE), rig.durations.row_seconds)
    except LoadFailed as failure:
        return void_row(NAME, PERCENT, str(failure))
    fault = await fault_in_store(rig, source, measured.book)
    await let_fold(rig)
    hooks, frame = await hooks_microseconds(), _frame_microseconds(measured)
    if fault is None and not frame:
        fault = "no frame came through"
    return Row(
        NAME,
        None if fault else 100 * hooks / frame,
        PERCENT,
        void=fault,
        aim=AIMS[NAME],
        details={"hooks_us": rounded(hooks), "frame_cpu_us": rounded(frame), "method": _METHOD},
    )


async def hooks_microseconds() -> float:
    """What the hooks of one frame take, microseconds: the difference to the same steps without them."""
    traces = DeliveryTraces(NO_TRACING, "bench", 0)

    async def with_hooks() -> None:
        await _asked()
        traceparent = current_traceparent()
        for _ in range(_QUESTIONS):
            if NO_TRACING.is_on or traceparent:
                raise _Traced
        for _ in range(_CONSUMERS):
            with traces.processing(()) as spans, traces.step("", _KIND, spans) if spans else nullcontext():
                await _work()

    # The least of several, for whatever else runs only adds to it.
    hooked = min([await _microseconds(with_hooks) for _ in range(_TRIES)])
    plain = min([await _microseconds(_without_hooks) for _ in range(_TRIES)])
    return max(0.0, hooked - plain)


async def _asked() -> None:
    # As the gateway does: a frame that is not traced has one call more to go through.
    if not NO_TRACING.is_on:
        return await _work()
    raise _Traced


async def _without_hooks() -> None:
    await _work()
    for _ in range(_QUESTIONS):
        pass
    for _ in range(_CONSUMERS):
        await _work()


async def _work() -> None:
    pass


async def _microseconds(step: Callable[[], Awaitable[None]]) -> float:
    began = time.process_time()
    for _ in range(_FRAMES):
        await step()
    return (time.process_time() - began) * 1e6 / _FRAMES


def _frame_microseconds(measured: Measured) -> float:
    spent = measured.cpu_microseconds()
    return sum(spent.get(service, 0.0) for service in _SERVICES) * _FRAME_SIZE
