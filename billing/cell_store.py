"""Asks for the usage of many devices over a short window at once: their documents are named, and found by their ids."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from billing.cell_usage import cells_inside, cells_of, usages_of
from billing.day import day_of
from billing.day_store import DayStore
from billing.history_store import HistoryStore
from billing.observation import Observation, SpanKey
from billing.overlay import overlay_of
from billing.past_spans import SpanWindow
from billing.sealed_day_store import SealedDayStore
from billing.span_document import document_id, to_document
from billing.usage import Usage, add_up
from common.mongo import Database, some_at_a_time

_TIMEOUT_MS = 25_000


class CellStore:
    """The cold documents, read a quarter-hour at a time, for less than half of what a question a device costs."""

    def __init__(self, database: Database, history: HistoryStore, days: DayStore) -> None:
        self._database = database
        self._history = history
        self._days = days
        self._sealed = SealedDayStore(database)

    async def by_device(
        self, window: SpanWindow, pending: Mapping[SpanKey, Sequence[Observation]]
    ) -> tuple[dict[str, Usage], Sequence[str]]:
        """The usage of each device over a short window, and the devices still to be asked about.

        These are the ones of which cold readings were let go.
        """
        kind = window.kind
        overlay = await overlay_of(self._history, window, pending)
        usages: defaultdict[str, list[Usage]] = defaultdict(list)
        for key, span in overlay.items():
            if span.counting:
                document = cells_inside(to_document(key, span, 0), window.start_ms, window.end_ms)
                usages[key.device_id] += usages_of(kind, document)
        left = {document_id(key): key for key in window.all_keys() if key not in overlay}
        for some in some_at_a_time(list(left)):
            stages = cells_of(some, window.start_ms, window.end_ms)
            async for document in self._database[kind.history].aggregate(stages, maxTimeMS=_TIMEOUT_MS):
                usages[document["device_id"]] += usages_of(kind, document)
                del left[document["_id"]]
        gone: frozenset[str] = frozenset()
        if self._days.may_be_sealed(day_of(window.start_ms)):
            # After the readings, so that none is missed that is removed meanwhile.
            gone = frozenset(key.device_id for key in await self._sealed.among(kind, [*overlay, *left.values()]))
        found = {device_id: add_up(some) for device_id, some in usages.items() if some and device_id not in gone}
        return found, [device_id for device_id in window.device_ids if device_id in gone]
