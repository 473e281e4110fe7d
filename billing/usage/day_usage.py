"""Usage from the roll-ups of days: their quarter-hours, taken together by bucket."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from billing.cold.day import QUARTERS_A_DAY
from billing.cold.usage_bucket import Bucket, bucket_start_ms, clock_runs, length_ms
from billing.cold.usage_sum import TimedPower, Usage
from billing.log.kind_columns import Array
from billing.log.reading_quality import QUALITY_COUNTS
from billing.log.schema import QUARTER_MS, Kind
from common.instants import datetime_to_ms
from common.reading_location import Integers


def usage_of_days(
    kind: Kind,
    documents: Sequence[Mapping[str, Any]],
    window: tuple[int, int],
    bucket: Bucket,
    zone: ZoneInfo,
) -> Iterator[tuple[int | None, Usage]]:
    """Usage by bucket from the documents of a device's days, by time, of the quarters that start in the window.

    Start of the bucket in epoch milliseconds, None for all; those without a reading are left out.
    """
    starts = [datetime_to_ms(document["span_start"]) for document in documents]
    at_ms = (np.array(starts, np.int64)[:, None] + np.arange(QUARTERS_A_DAY) * QUARTER_MS).ravel()
    cells = _Cells(documents)
    counts = cells.integers("reading_count")
    wanted = np.flatnonzero((counts > 0) & (at_ms >= window[0]) & (at_ms < window[1]))
    if not wanted.size:
        return
    day_start_ms = np.repeat(np.array(starts, np.int64), QUARTERS_A_DAY)
    keys = _keys(at_ms[wanted], window, bucket, zone)
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))

    def added(name: str) -> list[int]:
        found: list[int] = np.add.reduceat(cells.integers(name)[wanted], first).tolist()
        return found

    def numbers_added(name: str) -> list[float]:
        found: list[float] = np.add.reduceat(np.nan_to_num(cells.numbers(name)[wanted]), first).tolist()
        return found

    def extreme(name: str, of: np.ufunc) -> list[float | None]:
        return [None if math.isnan(one) else one for one in of.reduceat(cells.numbers(name)[wanted], first).tolist()]

    def at_an_end(name: str, *, latest: bool) -> list[TimedPower | None]:
        powers = cells.numbers(name)[wanted]
        return _at_an_end(powers, at_ms[wanted], first, latest=latest)

    energies = {}
    for name in kind.summed:
        if cells.has(name):
            carried = (~np.isnan(cells.numbers(name)))[wanted].astype(np.int64)
            energies[name] = (added(name), np.add.reduceat(carried, first).tolist())
    counted = {name: added(name) for name in QUALITY_COUNTS}
    ends = np.maximum.reduceat((cells.integers("last_end_ms") + day_start_ms)[wanted], first).tolist()
    rows = zip(
        keys[first].tolist(),
        np.add.reduceat(counts[wanted], first).tolist(),
        added("covered_ms"),
        numbers_added("power_kw_ms"),
        added("power_covered_ms"),
        extreme("minimum_power_kw", np.fmin),
        extreme("maximum_power_kw", np.fmax),
        at_an_end("first_power_kw", latest=False),
        at_an_end("last_power_kw", latest=True),
        numbers_added("temperature_sum"),
        added("temperature_count"),
        ends,
        strict=True,
    )
    for place, row in enumerate(rows):
        start_ms, count, covered_ms, kw_ms, power_ms, low, high, earliest, latest, degrees, degree_count, end_ms = row
        yield (
            None if bucket == "all" else start_ms,
            Usage(
                reading_count=count,
                covered_ms=covered_ms,
                energies={name: sums[place] for name, (sums, carried) in energies.items() if carried[place]},
                power_kw_ms=kw_ms,
                power_covered_ms=power_ms,
                minimum_power_kw=low,
                maximum_power_kw=high,
                first_power=earliest,
                last_power=latest,
                temperature_sum=degrees,
                temperature_count=degree_count,
                last_end_ms=end_ms,
                **{name: counts[place] for name, counts in counted.items()},
            ),
        )


def _keys(at_ms: Integers, window: tuple[int, int], bucket: Bucket, zone: ZoneInfo) -> Integers:
    """The start of the bucket of each of some instants."""
    if bucket == "all":
        return np.zeros(at_ms.size, np.int64)
    keys = at_ms - at_ms % length_ms(bucket)
    if bucket == "quarter_hour":
        return keys
    for run in clock_runs(*window, bucket, zone):
        inside = (at_ms >= run.start_ms) & (at_ms < run.end_ms)
        groups = at_ms[inside]
        groups = groups - (groups + run.ahead_ms) % length_ms(bucket)
        distinct, places = np.unique(groups, return_inverse=True)
        starts = [bucket_start_ms(group, bucket, run, zone) for group in distinct.tolist()]
        keys[inside] = np.array(starts, np.int64)[places]
    return keys


def _at_an_end(powers_kw: Array, at_ms: Integers, first: Integers, *, latest: bool) -> list[TimedPower | None]:
    """Of each run of cells, `first` being where each begins, the power of the first or the last that carries one."""
    measured = np.flatnonzero(~np.isnan(powers_kw))
    begin, end = np.searchsorted(measured, first), np.searchsorted(measured, np.append(first[1:], powers_kw.size))
    carried = begin < end
    chosen = measured[(end - 1 if latest else begin)[carried]]
    timed = map(TimedPower, at_ms[chosen].tolist(), powers_kw[chosen].tolist())
    return [next(timed) if one else None for one in carried.tolist()]


class _Cells:
    """The columns of some days, one after the other.

    Whole numbers pass through doubles on their way, which is exact up to 2^53: a quarter-hour has at most 10^15 mWh.
    """

    def __init__(self, documents: Sequence[Mapping[str, Any]]) -> None:
        self._columns: list[Mapping[str, list[Any]]] = [document["columns"] for document in documents]
        self._nothing = [None] * QUARTERS_A_DAY
        self._numbers: dict[str, Array] = {}

    def has(self, name: str) -> bool:
        """True when some day has the column."""
        return any(name in columns for columns in self._columns)

    def numbers(self, name: str) -> Array:
        """A column, NaN where nothing was carried."""
        if name not in self._numbers:
            joined = [columns.get(name, self._nothing) for columns in self._columns]
            self._numbers[name] = np.array(joined, np.float64).ravel()
        return self._numbers[name]

    def integers(self, name: str) -> Integers:
        """A column of whole numbers, 0 where nothing was carried."""
        return np.nan_to_num(self.numbers(name)).astype(np.int64)
