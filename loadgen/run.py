"""Drives the readings of a fleet or a file through the mesh, step by step, as fast as the pacing lets them go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from energy.telemetry.v1.reading_pb2 import Reading

from loadgen.pacing import Pacing
from loadgen.streams import Streams

FLUSH_TIMEOUT_SECONDS = 120.0
"""How long the last acks are awaited."""

# Below this wait, a frame that is not full stays back: the next step fills it, and full frames cost least.
_PUSH_BEFORE_WAIT_SECONDS = 0.2


async def drive(
    steps: Iterable[Sequence[Reading]],
    streams: Streams,
    *,
    pacing: Pacing,
    interval_ms: int = 0,
    flush_timeout_seconds: float = FLUSH_TIMEOUT_SECONDS,
) -> None:
    """Sends every step when it is due and waits until all is acked.

    A step is the readings of one interval of simulated time, sent when the interval is over.

    Raises:
        GatewayAway: the gateway could not be reached for too long.
        TimeoutError: some readings were not acked in time after the last one was sent.
    """
    started_seconds = time.monotonic()
    sent_before = streams.sent
    for index, readings in enumerate(steps):
        due_seconds = pacing.due_seconds(streams.sent - sent_before, (index + 1) * interval_ms)
        wait_seconds = due_seconds - (time.monotonic() - started_seconds)
        if wait_seconds > _PUSH_BEFORE_WAIT_SECONDS:
            await streams.push()
        # Also without a wait: making readings is work without an await, and acks want to be read between the steps.
        await asyncio.sleep(max(wait_seconds, 0.0))
        await streams.send(readings)
    await streams.flush(flush_timeout_seconds)
