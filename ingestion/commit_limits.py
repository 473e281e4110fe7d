"""How long Parts may gather and wait, and how many of them travel together."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.batch_pace import PaceLimits


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """How much a batch takes and how long things wait; the fields of `IngestionConfig` say more."""

    batch_maximum_bytes: int
    pace: PaceLimits
    away_patience_seconds: float
    overload_patience_seconds: float
    tick_seconds: float
    retry_initial_seconds: float = 0.05
    retry_maximum_seconds: float = 1.0
