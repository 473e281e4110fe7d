"""How much of a billed time has readings: what has none is billed to nobody, and somebody should know."""

from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from billing.tariffs.rated_line import Quarter


class Coverage(NamedTuple):
    """How long readings with energy cover a time, and how long none does, milliseconds."""

    covered_ms: int
    missing_ms: int


def coverage(quarters: Iterable[Quarter], start_ms: int, end_ms: int) -> Coverage:
    """The coverage of [start_ms, end_ms), UTC milliseconds, by the quarter-hours of one device.

    Exact where its readings do not overlap. What a reading covers before the time or after it does not count, nor does
    one that starts before it.
    """
    covered_ms, reached_ms = 0, start_ms
    for one in sorted(filter(carries_energy, quarters), key=attrgetter("start_ms")):
        begin_ms, until_ms = max(one.start_ms, reached_ms), min(one.last_end_ms, end_ms)
        if one.start_ms >= start_ms and until_ms > begin_ms:
            # Of readings that overlap no time counts twice.
            covered_ms += min(until_ms - begin_ms, one.whole_ms)
            reached_ms = until_ms
    return Coverage(covered_ms, max(0, end_ms - start_ms) - covered_ms)


def carries_energy(quarter: Quarter) -> bool:
    """Whether a reading of it tells of energy."""
    return quarter.import_milliwatt_hours is not None or quarter.export_milliwatt_hours is not None
