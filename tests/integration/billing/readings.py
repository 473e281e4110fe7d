"""Readings for the store tests, and what they add up to by plain Python that shares nothing with the pipelines."""

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from billing.log.kind_columns import LoggedReading
from billing.log.schema import METER
from billing.log.segment import Segment

MINUTE_MS = 60_000
LIVE_START_MS = 1_772_323_200_000
NONE = (None,) * (len(METER.columns) - 1)


def meter_readings(
    seed: int, device_id: str, start_ms: int, minutes: int, revision_share: float = 0.05
) -> list[LoggedReading]:
    """Meter readings of every minute, some of them corrected, some without import, in a shuffled order."""
    random_ = random.Random(seed)
    readings = []
    for minute in range(minutes):
        revisions = 2 if random_.random() < revision_share else 1
        for revision in range(revisions):
            energy = None if random_.random() < 0.05 else random_.randrange(0, 3_000_000_000)
            power_kw = None if random_.random() < 0.3 else random_.choice([0.25, 1.5, 3.0])
            values = (
                energy,
                None,
                None,
                None,
                power_kw,
                230.0,
                None,
                None,
                None,
                random_.choice([None, 20.0, 21.0]),
                None,
                None,
            )
            at_ms = start_ms + minute * MINUTE_MS
            readings.append(LoggedReading("meter", device_id, at_ms, MINUTE_MS, revision, at_ms + 1, values))
    random_.shuffle(readings)
    return readings


def segments(readings: list[LoggedReading], size: int, partition: int, prefix: str = "b") -> list[Segment]:
    """The readings cut into segments."""
    return [
        Segment.of(f"{prefix}-{first}", partition, "w", first + 1, 0, 1_000 + first, readings[first : first + size])
        for first in range(0, len(readings), size)
    ]


def counting(readings: Iterable[LoggedReading]) -> list[LoggedReading]:
    """Of each start the reading of the highest revision."""
    best: dict[tuple[str, int], LoggedReading] = {}
    for reading in readings:
        known = best.get((reading.device_id, reading.start_ms))
        if known is None or reading.revision > known.revision:
            best[reading.device_id, reading.start_ms] = reading
    return sorted(best.values(), key=lambda reading: (reading.device_id, reading.start_ms))


def local_bucket_ms(at_ms: int, bucket: str, zone: str) -> int:
    """Start of the bucket of an instant, walked back by the local clock minute by minute."""
    if bucket in {"minute", "quarter_hour"}:
        length_ms = {"minute": MINUTE_MS, "quarter_hour": 15 * MINUTE_MS}[bucket]
        return at_ms - at_ms % length_ms
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC).replace(second=0, microsecond=0)
    local = moment.astimezone(ZoneInfo(zone))

    def label(instant: datetime) -> tuple[object, ...]:
        there = instant.astimezone(ZoneInfo(zone))
        return (there.date(),) if bucket == "local_day" else (there.date(), there.hour, there.utcoffset())

    wanted = label(moment)
    while label(moment - timedelta(minutes=1)) == wanted:
        moment -= timedelta(minutes=1)
    assert local is not None
    return int(moment.timestamp() * 1000)


def energy_by_bucket(readings: Iterable[LoggedReading], bucket: str, zone: str) -> dict[int, int | None]:
    """Import in milliwatt-hours by bucket; None where no reading of the bucket carried it."""
    sums: dict[int, int | None] = defaultdict(lambda: None)
    for reading in readings:
        start_ms = local_bucket_ms(reading.start_ms, bucket, zone)
        energy = reading.values[0]
        sums[start_ms] = sums[start_ms] if energy is None else (sums[start_ms] or 0) + int(energy)
    return dict(sums)


def energy_segment(batch_id: str, *readings: tuple[str, int, int]) -> Segment:
    """A segment of readings, each a device, the minute it starts in and its import."""
    return Segment.of(
        batch_id,
        0,
        "w",
        1,
        0,
        9,
        [
            LoggedReading("meter", device_id, LIVE_START_MS + minute * MINUTE_MS, MINUTE_MS, 0, 5, (energy, *NONE))
            for device_id, minute, energy in readings
        ],
    )
