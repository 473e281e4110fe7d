"""Which days of a device are sealed: their readings were removed, and their sums stand."""

from collections.abc import Collection

from billing.cold.day import day_of, document_id
from billing.log.observation import SpanKey
from billing.log.schema import KINDS, Kind
from common.instants import datetime_from_ms, datetime_to_ms
from common.mongo import Database, find_by_ids

_READ_TIMEOUT_MS = 10_000


class SealedDayStore:
    """Reads the seals that retention sets."""

    def __init__(self, database: Database) -> None:
        self._days = {kind.name: database[kind.days] for kind in KINDS.values()}

    async def find(self, kind: Kind, device_id: str, start_ms: int, end_ms: int) -> list[int]:
        """The starts of the sealed days of a device that [start_ms, end_ms) touches, epoch milliseconds."""
        query = {
            "device_id": device_id,
            "span_start": {"$gte": datetime_from_ms(day_of(start_ms)), "$lt": datetime_from_ms(end_ms)},
        }
        cursor = self._days[kind.name].find(query, {"span_start": 1, "sealed": 1}).max_time_ms(_READ_TIMEOUT_MS)
        return [datetime_to_ms(document["span_start"]) async for document in cursor if document.get("sealed")]

    async def among(self, kind: Kind, spans: Collection[SpanKey]) -> frozenset[SpanKey]:
        """Those of some spans whose day is sealed."""
        days: dict[str, list[SpanKey]] = {}
        for span in spans:
            days.setdefault(document_id(span.device_id, day_of(span.span_start_ms)), []).append(span)
        found = find_by_ids(self._days[kind.name], list(days), {"sealed": 1}, timeout_ms=_READ_TIMEOUT_MS)
        sealed = [document["_id"] async for document in found if document.get("sealed")]
        return frozenset(span for day in sealed for span in days[day])
