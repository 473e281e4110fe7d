"""What a reading costs as the fleet grows, and the memory of each part."""

from __future__ import annotations

from collections.abc import Mapping

from common.topology import CONSUMING_SERVICES
from loadgen.bench.fleet import BenchFleet
from loadgen.bench.frame_source import FrameSource
from loadgen.bench.processes import GENERATOR
from loadgen.bench.raw_streams import LoadFailed, send_frames
from loadgen.bench.registering import register_up_to
from loadgen.bench.rig import Rig, measure
from loadgen.bench.row import MEGABYTES, MEMORY_AIM, MICROSECONDS_A_READING, Aim, Row, void_row
from loadgen.bench.schedule import Schedule
from loadgen.bench.stored import fault_in_store, let_fold

SERVICES = ("gateway", "ingestion", *CONSUMING_SERVICES)
FRAME_SIZE = 500

# The same documents whatever the fleet: an hour of a device is four readings, so even the largest fleet fills some.
_INTERVAL_SECONDS = 900
# Half of what the mesh takes, so that it is not the queues that are compared.
_SHARE_OF_SUSTAINED = 0.5
_RATE_UNLESS_KNOWN = 5_000.0
_GROWTH_MAXIMUM = 1.2


async def cost_row(rig: Rig, devices: int) -> Row:
    """CPU microseconds of the whole mesh a reading, the generator left out, while so many devices send in turn."""
    name = f"cost_per_reading_{devices}"
    try:
        await register_up_to(rig, devices)
    except TimeoutError:
        return void_row(name, MICROSECONDS_A_READING, f"registering {devices:,} devices took too long")
    source = FrameSource(
        BenchFleet(rig.fleet.prefix, devices),
        rig.calendar.begin(),
        frame_size=FRAME_SIZE,
        interval_seconds=_INTERVAL_SECONDS,
        carries_interval=True,
    )
    rate, unfolded = _rate(rig.rows), rig.unfolded
    try:
        measured = await measure(rig, send_frames, source, Schedule(FRAME_SIZE, rate), rig.durations.cost_seconds)
    except LoadFailed as failure:
        return void_row(name, MICROSECONDS_A_READING, str(failure))
    fault = await fault_in_store(rig, source, measured.book)
    await let_fold(rig)
    costs = measured.cpu_microseconds()
    smallest = next((row.value for row in rig.rows if row.name.startswith("cost_per_reading_")), None)
    return Row(
        name,
        None if fault else sum(cost for part, cost in costs.items() if part != GENERATOR),
        MICROSECONDS_A_READING,
        void=fault,
        aim=Aim(most=smallest * _GROWTH_MAXIMUM) if smallest else None,
        cpu_shares=measured.cpu_shares(),
        cpu_microseconds=costs,
        details={
            "readings_per_second": round(measured.rate),
            "readings": source.taken,
            "folded_meanwhile": round(measured.figures.folded),
            "unfolded_before": unfolded,
        },
    )


def memory_rows(peak_megabytes: Mapping[str, float]) -> list[Row]:
    """The most memory that a process of each part had resident over the whole run."""
    return [
        Row(f"memory_{part}", peak, MEGABYTES, aim=MEMORY_AIM if part in SERVICES else None)
        for part, peak in sorted(peak_megabytes.items(), key=lambda item: (item[0] not in SERVICES, item[0]))
    ]


def _rate(rows: list[Row]) -> float:
    sustained = next((row.value for row in rows if row.name == "end_to_end"), None)
    return sustained * _SHARE_OF_SUSTAINED if sustained else _RATE_UNLESS_KNOWN
