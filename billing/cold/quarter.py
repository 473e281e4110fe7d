"""Rolls the readings of a span up by quarter-hour: the cells that usage and bills are summed from."""

import math
from collections.abc import Iterable
from typing import Any

from billing.log.observation import Observation
from billing.log.reading_quality import quality_counts
from billing.log.schema import QUARTER_MS, Kind


def cell(kind: Kind, offset_ms: int, observations: Iterable[Observation]) -> dict[str, Any]:
    """The roll-up of some readings of one span, in order of their offset, as a sub-document.

    `offset_ms` is where the cell begins within the span. A sum that no reading carried is None, and so are the powers.
    Power is kept as its integral over time (`power_kw_ms` over `power_covered_ms`), for readings may differ in length,
    and as its least, greatest, first and last value; `last_end_ms` is the latest end of a reading, from the start of
    the span.
    """
    summed = [(name, kind.position(name)) for name in kind.summed]
    power, temperature = kind.position(kind.power), kind.position(kind.temperature)
    sums: dict[str, int | None] = dict.fromkeys(kind.summed)
    reading_count = covered_ms = last_end_ms = power_covered_ms = 0
    weighted: list[float] = []
    powers_kw: list[float] = []
    temperatures: list[float] = []
    qualities: list[int] = []
    for observation in observations:
        reading_count += 1
        if observation.quality:
            qualities.append(observation.quality)
        covered_ms += observation.interval_ms
        last_end_ms = max(last_end_ms, observation.offset_ms + observation.interval_ms)
        for name, position in summed:
            energy = observation.values[position]
            if energy is not None:
                sums[name] = (sums[name] or 0) + int(energy)
        power_kw = observation.values[power]
        if power_kw is not None:
            weighted.append(power_kw * observation.interval_ms)
            power_covered_ms += observation.interval_ms
            powers_kw.append(power_kw)
        degrees = observation.values[temperature]
        if degrees is not None:
            temperatures.append(degrees)
    return {
        "offset_ms": offset_ms,
        "reading_count": reading_count,
        "covered_ms": covered_ms,
        "last_end_ms": last_end_ms,
        **sums,
        # Rounded once, so that the sum does not depend on the order.
        "power_kw_ms": math.fsum(weighted),
        "power_covered_ms": power_covered_ms,
        "minimum_power_kw": min(powers_kw, default=None),
        "maximum_power_kw": max(powers_kw, default=None),
        "first_power_kw": powers_kw[0] if powers_kw else None,
        "last_power_kw": powers_kw[-1] if powers_kw else None,
        "temperature_sum": math.fsum(temperatures),
        "temperature_count": len(temperatures),
        **quality_counts(qualities),
    }


def quarters(kind: Kind, observations: Iterable[Observation]) -> list[dict[str, Any]]:
    """The cells of a span: one for each quarter-hour in which a reading starts, by offset."""
    groups: dict[int, list[Observation]] = {}
    for observation in observations:
        groups.setdefault(observation.offset_ms // QUARTER_MS * QUARTER_MS, []).append(observation)
    return [cell(kind, offset_ms, groups[offset_ms]) for offset_ms in sorted(groups)]
