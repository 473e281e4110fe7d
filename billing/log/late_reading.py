"""Readings of meters that were recorded after their quarter-hour may have been summed up elsewhere: a pure rule."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from billing.log.kind_columns import KindColumns
from billing.log.schema import METER
from billing.log.segment import Segment
from common.reading_location import Integers

QUARTER_MS = 900_000
LATE_AFTER_MS = 60_000
"""Whoever sums up a quarter-hour waits at least so long after its end; what is recorded sooner is not late."""

PAIRS_MAXIMUM = 2_000
"""Of so many devices and quarter-hours at once it is not kept any more which belong together."""

DEVICES_LISTED_MAXIMUM = 200
# More than one segment has devices.
_PLACES = 1 << 24


@dataclass(frozen=True, slots=True, eq=False)
class LateReadings:
    """What one write to the log had of them, recorded up to `record_ms`, epoch milliseconds.

    Row by row `quarter_ms` has the start of a quarter-hour and `device_index` the place of its device in `device_ids`.
    Without `device_ids` it may be any device.
    """

    record_ms: int
    device_ids: list[str]
    device_index: Integers
    quarter_ms: Integers


@dataclass(frozen=True, slots=True)
class LateQuarter:
    """A quarter-hour for which readings came late, of some devices, or of any (None); epoch milliseconds."""

    start_ms: int
    device_ids: frozenset[str] | None
    record_ms: int

    def joined(self, other: "LateQuarter") -> "LateQuarter":
        """Both, of the same quarter-hour."""
        devices = None
        if self.device_ids is not None and other.device_ids is not None:
            devices = self.device_ids | other.device_ids
        if devices is not None and len(devices) > DEVICES_LISTED_MAXIMUM:
            devices = None
        return LateQuarter(self.start_ms, devices, max(self.record_ms, other.record_ms))


def late_readings(segments: Iterable[Segment]) -> LateReadings | None:
    """What some segments have of them; None, as nearly always, if nothing."""
    record_ms, count = 0, 0
    quarters: list[Integers] = []
    pairs: list[tuple[KindColumns, Integers]] = []
    for segment in segments:
        closed_ms = (segment.record_ms - LATE_AFTER_MS) // QUARTER_MS * QUARTER_MS
        for columns in segment.kinds:
            is_late = columns.start_ms < closed_ms
            if columns.kind is not METER or not is_late.any():
                continue
            record_ms = max(record_ms, segment.record_ms)
            # Both in one number, for numbers are sorted much faster than pairs.
            joined = columns.start_ms[is_late] // QUARTER_MS * _PLACES + columns.device_index[is_late]
            distinct = np.unique(joined)
            quarters.append(np.unique(distinct // _PLACES))
            pairs.append((columns, distinct))
            count += distinct.size
    if not pairs:
        return None
    if count > PAIRS_MAXIMUM:
        return LateReadings(record_ms, [], np.zeros(0, np.int64), np.unique(np.concatenate(quarters)) * QUARTER_MS)
    places: dict[str, int] = {}
    found: dict[tuple[int, int], None] = {}
    for columns, distinct in pairs:
        for one in distinct.tolist():
            quarter, index = divmod(one, _PLACES)
            found[places.setdefault(columns.device_ids[index], len(places)), quarter * QUARTER_MS] = None
    device_index, quarter_ms = np.array(list(found), np.int64).T
    return LateReadings(record_ms, list(places), device_index, quarter_ms)


def by_quarter(writes: Iterable[LateReadings]) -> Collection[LateQuarter]:
    """What some writes had, by quarter-hour."""
    found: dict[int, LateQuarter] = {}
    for write in writes:
        for start_ms, device_ids in _devices_by_quarter(write).items():
            one = LateQuarter(start_ms, device_ids, write.record_ms)
            known = found.get(start_ms)
            found[start_ms] = one if known is None else known.joined(one)
    return found.values()


def _devices_by_quarter(write: LateReadings) -> Mapping[int, frozenset[str] | None]:
    quarters = write.quarter_ms.tolist()
    if not write.device_ids:
        return dict.fromkeys(quarters)
    devices: dict[int, set[str]] = {}
    for quarter_ms, place in zip(quarters, write.device_index.tolist(), strict=True):
        devices.setdefault(quarter_ms, set()).add(write.device_ids[place])
    return {
        quarter_ms: frozenset(some) if len(some) <= DEVICES_LISTED_MAXIMUM else None
        for quarter_ms, some in devices.items()
    }
