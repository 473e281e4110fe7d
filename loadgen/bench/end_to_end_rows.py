"""The highest rate at which every consumer keeps up, and how the merger follows it into cold and hot documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.errors import PyMongoError

from loadgen.bench import bare_store
from loadgen.bench.echo_limit import echo_limit
from loadgen.bench.keep_up import START_RATE, Sample, fault_in_keeping_up, next_rate, sustained_rate
from loadgen.bench.raw_streams import LoadFailed, send_frames
from loadgen.bench.rig import Rig
from loadgen.bench.row import AIMS, READINGS_A_SECOND, Row, void_row
from loadgen.bench.sampled_load import SampledLoad, sampled_load, watched_folding
from loadgen.bench.schedule import Schedule
from loadgen.bench.stored import fault_in_store, let_fold

FRAME_SIZE = 500

_SEARCH_EVERY_SECONDS = 0.5
_SUSTAINED_EVERY_SECONDS = 1.0
# The search overshoots, for its seconds are few and folding hardly begins in them.
_MARGINS = (0.8, 0.6)
# Another try must leave time for the rows that follow.
_SHARE_FOR_ANOTHER_TRY = 0.55
_SAMPLE_DEVICES = 10
_READINGS_COME_BACK = 0.97


async def end_to_end_rows(rig: Rig) -> list[Row]:
    """Searches the rate, keeps it, and watches the merger; `end_to_end` and `merged`."""
    try:
        found = await _searched_rate(rig)
        if isinstance(found, str):
            return _void(found)
        tried: list[dict[str, Any]] = []
        for margin in _MARGINS:
            if tried and rig.seconds_left < _SHARE_FOR_ANOTHER_TRY * rig.durations.run_seconds:
                break
            rate = found * margin
            rig.say(f"  sustaining {rate:,.0f} readings/s for {rig.durations.sustained_seconds:.0f} s")
            unfolded = rig.unfolded
            load = await sampled_load(
                rig,
                rig.source(FRAME_SIZE),
                Schedule(FRAME_SIZE, rate),
                seconds=rig.durations.sustained_seconds,
                every_seconds=_SUSTAINED_EVERY_SECONDS,
            )
            fault = fault_in_keeping_up(load.samples, rate)
            if fault is None:
                return await _rows(rig, load, rate, {"tried": tried, "unfolded_before": unfolded})
            tried.append({"readings_per_second": round(rate), "fault": fault})
            await fault_in_store(rig, load.source, load.book)
            await let_fold(rig)
    except LoadFailed as failure:
        return _void(str(failure))
    return _void("the consumers did not keep up", tried=tried)


def lag_curve(samples: Sequence[Sample], began_seconds: float) -> list[dict[str, float]]:
    """The merger's lag over time: seconds since the load began, seconds of lag, readings that wait to be folded."""
    return [
        {
            "at_seconds": round(sample.at_seconds - began_seconds, 1),
            "lag_seconds": round(sample.merge_lag_seconds, 1),
            "unfolded": round(sample.logged - sample.folded),
        }
        for sample in samples
    ]


async def _searched_rate(rig: Rig) -> float | str:
    """What the consumers take when the load follows them; a sentence when it is not known."""
    schedule = Schedule(FRAME_SIZE, START_RATE)

    def steer(samples: list[Sample]) -> None:
        if len(samples) > 1:
            before, now = samples[-2:]
            acked_rate = (now.acked - before.acked) / (now.at_seconds - before.at_seconds)
            schedule.readings_per_second = next_rate(
                schedule.readings_per_second or START_RATE, acked_rate, now.backlog
            )

    source = rig.source(FRAME_SIZE)
    load = await sampled_load(
        rig,
        source,
        schedule,
        seconds=rig.durations.search_seconds,
        every_seconds=_SEARCH_EVERY_SECONDS,
        on_sample=steer,
    )
    fault = await fault_in_store(rig, source, load.book)
    await let_fold(rig)
    return fault or sustained_rate(load.samples) or "the consumers took nothing for seconds"


async def _rows(rig: Rig, load: SampledLoad, rate: float, details: dict[str, Any]) -> list[Row]:
    fault = await fault_in_store(rig, load.source, load.book)
    after = await watched_folding(rig, rig.durations.merged_seconds)
    rig.unfolded = round(after[-1].logged - after[-1].folded)
    first, last = load.samples[0], load.samples[-1]
    acked_rate = (last.acked - first.acked) / load.seconds
    if fault is None and acked_rate < _READINGS_COME_BACK * rate:
        details["note"] = f"the acks were the limit: {acked_rate:,.0f} of {rate:,.0f} readings/s"
    value = min(
        acked_rate, (last.logged - first.logged) / load.seconds, (last.analysed - first.analysed) / load.seconds
    )
    limits, merged_limits, problem = await _limits(rig, load)
    readings = last.acked - first.acked
    end_to_end = Row(
        "end_to_end",
        None if fault else value,
        READINGS_A_SECOND,
        limits,
        void=fault,
        aim=AIMS["end_to_end"],
        cpu_shares={part: used / load.seconds for part, used in load.cpu.items()},
        cpu_microseconds={part: used * 1e6 / readings for part, used in load.cpu.items()},
        details={
            "devices": load.source.fleet.size,
            "seconds": round(load.seconds, 1),
            "readings": load.source.taken,
            "largest_backlog": round(max(sample.backlog for sample in load.samples)),
            "batch_bytes": round(load.batch_bytes / max(1.0, load.batches)),
            "batch_readings": round(readings / max(1.0, load.batches), 1),
            **details,
        },
    )
    watched = [*load.samples, *after]
    seconds = watched[-1].at_seconds - first.at_seconds
    merged = Row(
        "merged",
        None if fault else (watched[-1].folded - first.folded) / seconds,
        READINGS_A_SECOND,
        merged_limits,
        void=fault,
        aim=AIMS["merged"],
        details={
            "drained": watched[-1].folded >= watched[-1].logged,
            "seconds_after_load": round(after[-1].at_seconds - last.at_seconds, 1),
            "readings_a_document": round(load.source.taken / load.source.spans, 1),
            "lag_curve": lag_curve(watched, first.at_seconds),
            **({"limit_unknown": problem} if problem else {}),
        },
    )
    return [end_to_end, merged]


async def _limits(rig: Rig, load: SampledLoad) -> tuple[dict[str, float], dict[str, float], str | None]:
    """Bare limits of both rows in readings a second; and why those of the store are not known."""
    durations, settings, source = rig.durations, rig.settings, load.source
    limits = {"echo": await echo_limit(rig, send_frames, FRAME_SIZE)}
    if load.batches:
        readings = (load.samples[-1].acked - load.samples[0].acked) / load.batches
        body_bytes = round(load.batch_bytes / load.batches)
        limit = await rig.broker.limit(body_bytes, durations.limit_seconds)
        limits["publish"] = limit.messages_a_second * readings
    device_ids = [source.fleet.device_id(number) for number in range(min(_SAMPLE_DEVICES, source.fleet.size))]
    try:
        sample = await bare_store.sample_store(
            settings.mongo_url, device_ids, (source.start_seconds * 1000, source.end_seconds * 1000), load.recorded_ms
        )
        segments = await bare_store.segments_a_second(settings.mongo_url, sample, durations.limit_seconds)
        limits["log_write"] = segments * sample.readings_a_segment
        spans = await bare_store.spans_a_second(settings.mongo_url, sample, durations.limit_seconds)
    except (PyMongoError, ValueError) as failure:
        return limits, {}, str(failure)
    return limits, {"bulk_write": spans * source.taken / source.spans}, None


def _void(reason: str, **details: Any) -> list[Row]:
    return [void_row(name, READINGS_A_SECOND, reason, **details) for name in ("end_to_end", "merged")]
