"""Where the usual power of devices rests: one document for each partition and piece, its devices as columns.

A document for each device would cost a write each; so many at once cost one. A device whose partition has changed is in
two of them: what was learnt later counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, TypeVar

import numpy as np

from analytics.detection.consumption import Consumption
from analytics.detection.power_baseline import Baselines
from analytics.detection.voltage_week import VoltageWeeks
from analytics.stream.learnt_columns import LearntColumns
from common.mongo import Database
from common.reading_location import Integers

Learnt = TypeVar("Learnt", bound=LearntColumns)

_READ_TIMEOUT_MS = 10_000
# At most about 600 bytes a device, and a document may have 16 million.
PIECE_DEVICES = 25_000
_NUMBERS = {"Numbers": "<f8", "Integers": "<i8"}


class LearntBaselines(NamedTuple):
    """What was learnt of some devices, a row each, and the start of the newest reading learnt from, UTC ms."""

    device_ids: list[str]
    newest_ms: Integers
    baselines: Baselines
    weeks: VoltageWeeks
    consumption: Consumption | None = None
    """None where it is looked for nowhere."""


class BaselineStore:
    """The collection `device_baselines`."""

    def __init__(self, database: Database) -> None:
        self._pieces = database["device_baselines"]

    async def save(self, partition: int, learnt: LearntBaselines) -> None:
        """Keeps what was learnt of the devices of a partition in place of what was there."""
        for first in range(0, len(learnt.device_ids), PIECE_DEVICES):
            rows = np.arange(first, min(first + PIECE_DEVICES, len(learnt.device_ids)))
            piece = LearntBaselines(
                learnt.device_ids[first : first + PIECE_DEVICES],
                learnt.newest_ms[rows],
                learnt.baselines.take(rows),
                learnt.weeks.take(rows),
                None if learnt.consumption is None else learnt.consumption.take(rows),
            )
            place = {"_id": f"{partition}/{first // PIECE_DEVICES}"}
            await self._pieces.replace_one(place, _to_document(piece), upsert=True)

    async def load(self) -> AsyncIterator[LearntBaselines]:
        """Everything that was kept, piece by piece."""
        async for document in self._pieces.find({}).max_time_ms(_READ_TIMEOUT_MS):
            yield _from_document(document)


def _to_document(learnt: LearntBaselines) -> dict[str, Any]:
    return {
        "device_ids": learnt.device_ids,
        "newest": learnt.newest_ms.astype("<i8").tobytes(),
        "columns": _to_columns(learnt.baselines),
        "voltage_weeks": _to_columns(learnt.weeks),
        **({} if learnt.consumption is None else {"consumption": _to_columns(learnt.consumption)}),
    }


def _from_document(document: Mapping[str, Any]) -> LearntBaselines:
    size = len(document["device_ids"])
    # Releases before this one did not know of weeks, and those before the last not how much of them was measured.
    weeks_columns = document.get("voltage_weeks", {})
    weeks = _from_columns(VoltageWeeks, weeks_columns, size)
    if "measured_by_day" not in weeks_columns:
        weeks.take_as_measured()
    return LearntBaselines(
        document["device_ids"],
        np.frombuffer(document["newest"], "<i8").copy(),
        _from_columns(Baselines, document["columns"], size),
        weeks,
        _from_columns(Consumption, document["consumption"], size) if "consumption" in document else None,
    )


def _to_columns(learnt: LearntColumns) -> dict[str, bytes]:
    return {
        field.name: getattr(learnt, field.name).astype(_NUMBERS[str(field.type)]).tobytes()
        for field in fields(learnt)  # type: ignore[arg-type]
    }


def _from_columns(kind: type[Learnt], columns: Mapping[str, bytes], size: int) -> Learnt:
    learnt = kind.empty(size)
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in columns:
            column = getattr(learnt, field.name)
            column[:] = np.frombuffer(columns[field.name], _NUMBERS[str(field.type)]).reshape(column.shape)
    return learnt
