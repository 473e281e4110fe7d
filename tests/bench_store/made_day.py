"""Readings of a benched fleet: as segments of the log, and as the documents that folding makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from billing.cold.span_columns import fresh_documents
from billing.live.hot_reading import newest_of, to_update
from billing.log.kind_columns import Gathered, KindColumns, gather
from billing.log.schema import HOUR_MS, KINDS
from billing.log.segment import Segment

MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS
MINUTES_AN_HOUR = 60
READINGS_A_SEGMENT = 500
READINGS_AN_HOUR = MINUTES_AN_HOUR

Document = dict[str, Any]


def minute_of(kind: str, device_ids: Sequence[str], start_ms: int) -> KindColumns:
    """One reading of a minute of each device; energy and power differ from device to device and minute to minute."""
    numbers = np.arange(len(device_ids), dtype=np.int64)
    minute = start_ms // MINUTE_MS
    energy = 1_000 + (numbers * 7_919 + minute * 104_729) % 49_000
    power_kw = np.round(energy * 60 / 1_000_000, 3)
    own = {
        "meter": {"import_milliwatt_hours": energy, "power_kw": power_kw, "voltage_v": 225.0 + numbers % 10},
        "vehicle": {
            "energy_delivered_milliwatt_hours": energy * 9 // 10,
            "power_kw": power_kw,
            "state_of_charge_percent": 20.0 + minute % 60 + np.zeros(numbers.size),
            "charging_state": np.full(numbers.size, 3, np.int64),
        },
    }
    return KindColumns(
        kind=KINDS[kind],
        device_ids=list(device_ids),
        device_index=numbers,
        start_ms=np.full(numbers.size, start_ms, np.int64),
        interval_ms=np.full(numbers.size, MINUTE_MS, np.int64),
        revision=np.zeros(numbers.size, np.int64),
        receive_ms=np.full(numbers.size, start_ms + MINUTE_MS + 40, np.int64),
        values=own[kind],
    )


def segments_of_hour(device_ids: Sequence[str], start_ms: int, partitions: int) -> Iterator[Segment]:
    """An hour of meters as segments, minute by minute as they come."""
    for minute in range(MINUTES_AN_HOUR):
        at_ms = start_ms + minute * MINUTE_MS
        for number, first in enumerate(range(0, len(device_ids), READINGS_A_SEGMENT)):
            columns = minute_of("meter", device_ids[first : first + READINGS_A_SEGMENT], at_ms)
            yield Segment(f"s-{at_ms}-{number}", number % partitions, "bench", 1, at_ms, at_ms + MINUTE_MS, (columns,))


def gathered_hour(kind: str, device_ids: Sequence[str], start_ms: int) -> Gathered:
    """An hour of some devices, sorted."""
    minutes = [start_ms + minute * MINUTE_MS for minute in range(MINUTES_AN_HOUR)]
    return gather([(minute_of(kind, device_ids, at_ms), at_ms + MINUTE_MS) for at_ms in minutes])


def cold_documents(gathered: Gathered) -> list[Document]:
    """The cold documents of an hour, by the code that folds."""
    return [document for _, document in fresh_documents(gathered, np.arange(gathered.record_ms.size))]


def hot_documents(gathered: Gathered) -> list[Document]:
    """The hot documents of devices whose newest hour this is."""
    return [{"_id": latest.device_id, **to_update(latest)} for latest in newest_of([gathered]).values()]
