"""Durable acks: on streams with frames of several sizes, in unary calls, and of acceptance alone."""

from __future__ import annotations

from common.topology import CONSUMING_SERVICES
from loadgen.bench.echo_limit import echo_limit
from loadgen.bench.raw_streams import CALLS_AT_ONCE, STREAMS, WINDOW_FRAMES, LoadFailed, send_calls, send_frames
from loadgen.bench.rig import Measured, Rig, Send, measure
from loadgen.bench.row import AIMS, READINGS_A_SECOND, Row, void_row
from loadgen.bench.schedule import Schedule
from loadgen.bench.stored import fault_in_store, let_fold

ACCEPTANCE = "stream_ack_500_consumers_paused"
_ACCEPTANCE_FRAME = 500
# The broker gives up a connection that is silent for two heartbeats of 3 s; warming up and the last acks count too.
_PAUSE_MAXIMUM_SECONDS = 4.0


async def stream_row(rig: Rig, frame_size: int) -> Row:
    """Readings a second that are acked on streams while the whole mesh runs, consumers too."""
    return await _ack_row(rig, f"stream_ack_{frame_size}", send_frames, frame_size)


async def unary_row(rig: Rig) -> Row:
    """Readings a second that are acked one by one in unary calls."""
    return await _ack_row(rig, "unary", send_calls, 1)


async def acceptance_row(rig: Rig) -> Row:
    """Acks with the consumers stopped meanwhile: what the way from the device to the queues does when it is alone."""
    return await _ack_row(rig, ACCEPTANCE, send_frames, _ACCEPTANCE_FRAME, pause=True)


async def _ack_row(rig: Rig, name: str, send: Send, frame_size: int, *, pause: bool = False) -> Row:
    limits = {"echo": await echo_limit(rig, send, frame_size)}
    source, schedule, unfolded = rig.source(frame_size), Schedule(frame_size), rig.unfolded
    seconds = rig.durations.row_seconds
    try:
        if pause:
            with rig.processes().stopped(CONSUMING_SERVICES):
                measured = await measure(
                    rig, send, source, schedule, min(seconds, _PAUSE_MAXIMUM_SECONDS), counted=("ingestion",)
                )
        else:
            measured = await measure(rig, send, source, schedule, seconds)
    except LoadFailed as failure:
        return void_row(name, READINGS_A_SECOND, str(failure))
    fault = await fault_in_store(rig, source, measured.book)
    await let_fold(rig)
    details: dict[str, float] = {
        **_in_flight(send, frame_size),
        "readings": source.taken,
        "reading_bytes": source.reading_bytes,
        "unfolded_before": unfolded,
    }
    if measured.figures.batches:
        publish, batch = await _publish_limit(rig, measured)
        limits["publish"] = publish
        details |= batch
    return Row(
        name,
        None if fault else measured.rate,
        READINGS_A_SECOND,
        limits,
        void=fault,
        aim=AIMS.get(name),
        cpu_shares=measured.cpu_shares(),
        cpu_microseconds=measured.cpu_microseconds(),
        details=details,
    )


async def _publish_limit(rig: Rig, measured: Measured) -> tuple[float, dict[str, float]]:
    """Readings a second that a bare publish of batches as large as those of the row confirms, and their size."""
    body_bytes = round(measured.figures.batch_bytes / measured.figures.batches)
    readings = measured.acked / measured.figures.batches
    limit = await rig.broker.limit(body_bytes, rig.durations.limit_seconds)
    details = {"batch_bytes": body_bytes, "batch_readings": round(readings, 1), "publish_window": limit.window}
    return limit.messages_a_second * readings, details


def _in_flight(send: Send, frame_size: int) -> dict[str, int]:
    if send is send_calls:
        return {"calls_at_once": CALLS_AT_ONCE}
    return {"frame_readings": frame_size, "streams": STREAMS, "window_frames": WINDOW_FRAMES}
