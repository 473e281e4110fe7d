"""What the benchmark is told, and how long each of its parts lasts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from loadgen.connection import Addresses


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds of each measurement, bounds on waiting, and sizes of fleets."""

    run_seconds: float
    """The whole run; rows that no time is left for are void."""
    warm_up_seconds: float
    row_seconds: float
    row_readings: int
    """A row ends sooner when it has so many: the consumers have to take them all before it counts."""
    limit_seconds: float
    latency_seconds: float
    live_seconds: float
    search_seconds: float
    sustained_seconds: float
    cost_seconds: float
    log_drain_seconds: float
    """How long after a row the log may take to hold what was acked."""
    fold_drain_seconds: float
    """How long after a row folding may take; the next row says when it was not done."""
    merged_seconds: float
    """How long after the sustained load the merger is watched."""
    cost_fleets: tuple[int, ...]
    invoice_accounts: int
    """Accounts that a month of quarter-hours is stored of; each is some 740 documents to be folded."""
    invoice_fold_seconds: float
    invoice_seconds: float
    """How long their usage may be read alone, and about how long their invoices may take."""


FULL = Durations(
    run_seconds=570,
    warm_up_seconds=1.0,
    row_seconds=4.0,
    row_readings=1_000_000,
    limit_seconds=3.0,
    latency_seconds=10.0,
    live_seconds=12.0,
    search_seconds=12.0,
    sustained_seconds=60.0,
    cost_seconds=8.0,
    log_drain_seconds=60.0,
    fold_drain_seconds=5.0,
    merged_seconds=35.0,
    cost_fleets=(1_000, 10_000, 100_000),
    invoice_accounts=100,
    invoice_fold_seconds=75.0,
    invoice_seconds=20.0,
)
QUICK = Durations(
    run_seconds=98,
    warm_up_seconds=0.4,
    row_seconds=1.0,
    row_readings=200_000,
    limit_seconds=0.8,
    latency_seconds=3.0,
    live_seconds=3.0,
    search_seconds=4.0,
    sustained_seconds=10.0,
    cost_seconds=2.5,
    log_drain_seconds=12.0,
    fold_drain_seconds=1.0,
    merged_seconds=4.0,
    cost_fleets=(1_000, 10_000),
    invoice_accounts=10,
    invoice_fold_seconds=8.0,
    invoice_seconds=4.0,
)


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """Where the mesh and its servers are, where the report goes, and what is measured."""

    addresses: Addresses
    amqp_url: str
    mongo_url: str
    run_dir: Path
    """The folder of the mesh's run, in which the local stack tells its processes."""
    report: Path
    durations: Durations = FULL
    devices: int = 10_000
    """Meters of every row but those that compare fleets."""
    only: Collection[str] = ()
    """Beginnings of the names of rows; empty is all."""

    def is_wanted(self, *names: str) -> bool:
        """Whether one of these rows is asked for."""
        return not self.only or any(name.startswith(asked) for name in names for asked in self.only)
