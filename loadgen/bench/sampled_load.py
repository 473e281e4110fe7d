"""A load whose way through the mesh is looked at again and again while it lasts, and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loadgen.bench.ack_book import AckBook
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.keep_up import Sample
from loadgen.bench.processes import Seconds
from loadgen.bench.raw_streams import send_frames
from loadgen.bench.rig import Rig, lasting, under_load
from loadgen.bench.schedule import Schedule


@dataclass(slots=True)
class SampledLoad:
    """What happened: samples in order, and the CPU that each part used from the first to the last of them."""

    source: FrameSource
    book: AckBook = field(default_factory=AckBook)
    samples: list[Sample] = field(default_factory=list)
    cpu: Seconds = field(default_factory=dict)
    recorded_ms: tuple[int, int] = (0, 0)
    """The time of the samples by this machine's clock, milliseconds since 1970."""
    batches: float = 0.0
    batch_bytes: float = 0.0

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return self.samples[-1].at_seconds - self.samples[0].at_seconds


async def sampled_load(
    rig: Rig,
    source: FrameSource,
    schedule: Schedule,
    *,
    seconds: float,
    every_seconds: float,
    on_sample: Callable[[list[Sample]], None] = lambda _: None,
) -> SampledLoad:
    """Sends for so long and returns when all is acked.

    Raises:
        LoadFailed: the mesh ended a stream, or the last acks did not come.
    """
    load = SampledLoad(source)
    processes = rig.processes()
    acked_before = rig.acked
    async with under_load(rig, send_frames, source, schedule, load.book) as sending:
        await lasting(sending, rig.durations.warm_up_seconds)
        cpu_before, before = processes.cpu_seconds(), await rig.figures(processes)
        figures = before
        began_ms, ends_at = time.time_ns() // 1_000_000, time.monotonic() + seconds
        while time.monotonic() < ends_at:
            await lasting(sending, every_seconds)
            figures = await rig.figures(processes)
            load.samples.append(
                Sample(
                    time.monotonic(),
                    acked_before + load.book.acked,
                    figures.logged,
                    figures.analysed + rig.dropped,
                    figures.folded,
                    figures.merge_lag_seconds,
                )
            )
            on_sample(load.samples)
        load.recorded_ms = (began_ms, time.time_ns() // 1_000_000)
        load.cpu = {part: used - cpu_before[part] for part, used in processes.cpu_seconds().items()}
        load.batches, load.batch_bytes = figures.batches - before.batches, figures.batch_bytes - before.batch_bytes
    return load


async def watched_folding(rig: Rig, limit_seconds: float) -> list[Sample]:
    """Samples after the load, until everything logged is folded or the time is up."""
    samples: list[Sample] = []
    processes = rig.processes()
    ends_at = time.monotonic() + min(limit_seconds, max(0.0, rig.seconds_left))
    while True:
        figures = await rig.figures(processes)
        samples.append(
            Sample(
                time.monotonic(),
                rig.acked,
                figures.logged,
                figures.analysed + rig.dropped,
                figures.folded,
                figures.merge_lag_seconds,
            )
        )
        if figures.folded >= figures.logged or time.monotonic() > ends_at:
            return samples
        await asyncio.sleep(1.0)
