"""Whether the store holds what was acked: the rule that makes a row count."""

from __future__ import annotations

import asyncio
import random
import time

from energy.billing.v1.usage_service_pb2 import SummarizeUsageRequest
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub

from common.energy import milliwatt_hours
from common.grpc_client import SLOW_TIMEOUT_SECONDS
from common.instants import from_ms
from loadgen.bench.ack_book import AckBook
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.rig import Rig

_SAMPLE_DEVICES = 8
_SEED = 11
# An answer that lags behind the log is told in a note; one that stays behind makes the row void.
_READ_AGAIN_SECONDS = 10.0


async def fault_in_store(rig: Rig, source: FrameSource, book: AckBook) -> str | None:
    """Waits until the consumers have what was acked; None when the store holds it all, else what is wrong.

    The log's count says it of every reading; of some devices billing is asked for the readings and their energy, which
    must be exactly what was sent.

    Raises:
        grpc.aio.AioRpcError: billing did not answer.
        OSError: a service's metrics are away.
    """
    if book.refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(book.refused.items()))
        return f"readings were refused: {reasons}"
    if book.acked != source.taken:
        return f"{source.taken:,} readings were sent and {book.acked:,} acked"
    began_seconds = time.monotonic()
    figures, is_moving = await rig.log_drained()
    missing = max(0, round(rig.acked - figures.logged))
    if not is_moving:
        # What stands still is not waited for again. The queues of analytics drop their oldest when they are full.
        rig.acked -= missing
        rig.dropped = max(rig.dropped, round(rig.acked - figures.analysed))
    if missing:
        waited_seconds = time.monotonic() - began_seconds
        return f"the log lacks {missing:,} of the acked readings {waited_seconds:.0f} s after the last ack"
    began_seconds = time.monotonic()
    first_fault = fault = await _fault_in_sample(rig, source)
    while fault is not None and time.monotonic() < began_seconds + _READ_AGAIN_SECONDS:
        await asyncio.sleep(1.0)
        fault = await _fault_in_sample(rig, source)
    if first_fault is not None and fault is None:
        waited_seconds = time.monotonic() - began_seconds
        rig.notes.append(f"Billing answered with less than its log held for {waited_seconds:.0f} s: {first_fault}.")
    return fault


async def let_fold(rig: Rig) -> None:
    """Waits a while for the merger, so that the next row begins with an idle mesh, and notes what is left."""
    figures, _ = await rig.drained(rig.durations.fold_drain_seconds, lambda now: now.folded >= now.logged)
    rig.unfolded = round(max(0.0, figures.logged - figures.folded))


async def _fault_in_sample(rig: Rig, source: FrameSource) -> str | None:
    touched = min(source.taken, source.fleet.size)
    numbers = sorted(random.Random(_SEED).sample(range(touched), min(_SAMPLE_DEVICES, touched)))
    request = SummarizeUsageRequest(
        device_ids=[source.fleet.device_id(number) for number in numbers],
        start_time=from_ms(source.start_seconds * 1000),
        end_time=from_ms(source.end_seconds * 1000),
    )
    response = await UsageServiceStub(rig.billing).SummarizeUsage(request, timeout=SLOW_TIMEOUT_SECONDS)
    stored = {
        found.device_id: (found.usage.reading_count, milliwatt_hours(found.usage.import_kwh))
        for found in response.devices
    }
    for number in numbers:
        device_id = source.fleet.device_id(number)
        sent = (source.count_of(number), source.import_of(number))
        found = stored.get(device_id, (0, 0))
        if found != sent:
            return f"{device_id} sent {sent[0]} readings, {sent[1]} mWh; the store has {found[0]}, {found[1]} mWh"
    return None
