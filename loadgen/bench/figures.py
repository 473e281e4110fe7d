"""How far readings have come on the path, as the services themselves count them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from loadgen.bench.metrics_page import scrape, sums

COUNTING = ("ingestion", "billing", "analytics")
"""The services that count how far readings have come."""

_NAMES = {
    "batches": "ingestion_batch_bytes_count",
    "batch_bytes": "ingestion_batch_bytes_sum",
    "logged": "billing_logged_readings_total",
    "folded": "billing_merged_readings_total",
    "spans": "billing_merged_spans_total",
    "analysed": "readings_total",
    "looked_at": "detection_readings_total",
    "detection_seconds": "detection_seconds_total",
    "merge_lag_seconds": "billing_merge_lag_seconds",
}
# A state, not a count: the largest of all processes, and no difference is taken.
_GAUGE = "merge_lag_seconds"


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts since the services began; the difference of two is what happened between them."""

    batches: float = 0.0
    """Batches that ingestion made durable."""
    batch_bytes: float = 0.0
    logged: float = 0.0
    """Readings in billing's log."""
    folded: float = 0.0
    """Readings folded into cold and hot documents."""
    spans: float = 0.0
    """Documents written for them."""
    analysed: float = 0.0
    """Readings that analytics has counted."""
    looked_at: float = 0.0
    """Readings that analytics has looked at for alerts."""
    detection_seconds: float = 0.0
    """How long that took."""
    merge_lag_seconds: float = 0.0
    """How long the reading has waited that waits longest to be folded."""

    @property
    def progress(self) -> tuple[float, float, float]:
        """What rises as long as the consumers work."""
        return (self.logged, self.analysed, self.folded)

    def __sub__(self, earlier: Figures) -> Self:
        """What happened since `earlier`; a gauge stays what it is now."""
        return type(self)(
            **{
                field.name: getattr(self, field.name) - (0.0 if field.name == _GAUGE else getattr(earlier, field.name))
                for field in fields(self)
            }
        )


def figures_of(pages: Iterable[str]) -> Figures:
    """The figures of all pages together."""
    found: dict[str, float] = {}
    for page in pages:
        for name, value in sums(page, _NAMES.values()).items():
            known = found.get(name, 0.0)
            found[name] = max(known, value) if name == _NAMES[_GAUGE] else known + value
    return Figures(**{field: found.get(name, 0.0) for field, name in _NAMES.items()})


async def read_figures(ports: Iterable[int]) -> Figures:
    """Asks the processes whose metrics are at these ports.

    Raises:
        OSError: one does not answer.
    """
    return figures_of(await asyncio.gather(*(scrape(port) for port in ports)))
