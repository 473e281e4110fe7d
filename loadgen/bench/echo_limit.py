"""The bare limit of gRPC: the same frames, or the same unary requests, sent to an echo by the same client."""

from __future__ import annotations

import asyncio
import time

from loadgen.bench.ack_book import AckBook
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.rig import Rig, Send, lasting
from loadgen.bench.schedule import Schedule

_WARM_UP_SECONDS = 0.5


async def echo_limit(rig: Rig, send: Send, frame_size: int) -> float:
    """Readings a second that come back from the echo.

    Raises:
        LoadFailed: the echo ended.
    """
    # Nobody stores these, so they take no time of the calendar.
    source = FrameSource(rig.fleet, rig.calendar.begin(), frame_size=frame_size)
    schedule, book = Schedule(frame_size), AckBook()
    sending = asyncio.ensure_future(send(rig.echo, source, schedule, book))
    try:
        await lasting(sending, _WARM_UP_SECONDS)
        began, acked_before = time.monotonic(), book.acked
        await lasting(sending, rig.durations.limit_seconds)
        rate = (book.acked - acked_before) / (time.monotonic() - began)
        schedule.end()
        await sending
    finally:
        sending.cancel()
    return rate
