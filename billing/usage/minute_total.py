"""What meters used together in each minute: columns of their documents added up, exact in energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from common.instants import datetime_to_ms

MINUTE_MS = 60_000

_Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MinuteTotal:
    """A minute of some meters; None where no reading carried it.

    `power_only_kw_ms` is the power by time of the readings that carry no energy.
    """

    start_ms: int
    reading_count: int
    meter_count: int
    covered_ms: int
    import_milliwatt_hours: int | None
    export_milliwatt_hours: int | None
    power_only_kw_ms: float | None


class MinuteSums:
    """Adds up documents of meters over the minutes of [start_ms, end_ms), epoch milliseconds, both whole minutes.

    Readings longer than a minute are left out: what they used in each of their minutes is not known, and would look
    like a peak in the first. A meter has one document an hour, so none is counted twice in a minute.
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "offset_ms",
        "interval_ms",
        "import_milliwatt_hours",
        "export_milliwatt_hours",
        "power_kw",
    )

    def __init__(self, start_ms: int, end_ms: int) -> None:
        count = (end_ms - start_ms) // MINUTE_MS
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._readings, self._meters, self._covered_ms = (np.zeros(count, np.int64) for _ in range(3))
        self._energies = {name: np.zeros(count, np.int64) for name in ("import", "export")}
        self._energy_counts = {name: np.zeros(count, np.int64) for name in ("import", "export")}
        self._power_only_kw_ms = np.zeros(count)
        self._power_only_count = np.zeros(count, np.int64)

    def add(self, document: Mapping[str, Any]) -> None:
        """Adds the readings of a document that count."""
        starts_ms = datetime_to_ms(document["span_start"]) + np.array(document["offset_ms"], np.int64)
        interval_ms = np.array(document["interval_ms"], np.int64)
        is_counted = (starts_ms >= self._start_ms) & (starts_ms < self._end_ms) & (interval_ms <= MINUTE_MS)
        places = np.flatnonzero(is_counted)
        if not places.size:
            return
        minutes = (starts_ms[places] - self._start_ms) // MINUTE_MS
        np.add.at(self._readings, minutes, 1)
        np.add.at(self._meters, np.unique(minutes), 1)
        np.add.at(self._covered_ms, minutes, interval_ms[places])
        has_energy = np.zeros(places.size, np.bool_)
        for name, sums in self._energies.items():
            values, is_there = _column(document.get(f"{name}_milliwatt_hours"), places)
            np.add.at(sums, minutes[is_there], values[is_there].astype(np.int64))
            np.add.at(self._energy_counts[name], minutes[is_there], 1)
            has_energy |= is_there
        power_kw, has_power = _column(document.get("power_kw"), places)
        is_power_only = has_power & ~has_energy
        by_time = power_kw[is_power_only].astype(np.float64) * interval_ms[places][is_power_only]
        np.add.at(self._power_only_kw_ms, minutes[is_power_only], by_time)
        np.add.at(self._power_only_count, minutes[is_power_only], 1)

    def totals(self) -> list[MinuteTotal]:
        """The minutes in which a reading that counts starts, by time."""
        return [
            MinuteTotal(
                self._start_ms + minute * MINUTE_MS,
                int(self._readings[minute]),
                int(self._meters[minute]),
                int(self._covered_ms[minute]),
                self._energy("import", minute),
                self._energy("export", minute),
                float(self._power_only_kw_ms[minute]) if self._power_only_count[minute] else None,
            )
            for minute in np.flatnonzero(self._readings).tolist()
        ]

    def _energy(self, name: str, minute: int) -> int | None:
        return int(self._energies[name][minute]) if self._energy_counts[name][minute] else None


def _column(values: Sequence[Any] | None, places: _Whole) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Values at some places of a column, and which of them are there; whole numbers stay whole.

    A column that no reading of a document has is not in it.
    """
    if values is None:
        return np.zeros(places.size), np.zeros(places.size, np.bool_)
    chosen = np.array(values, np.object_)[places]
    is_there = np.array([value is not None for value in chosen], np.bool_)
    return chosen, is_there
