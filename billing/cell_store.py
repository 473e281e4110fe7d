"""Asks for the usage of many devices over a short window at once: their documents are named, and found by their ids."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from billing.cell_usage import cells_of, usages_of, waiting_devices
from billing.day import day_of
from billing.day_store import DayStore
from billing.observation import Observation, SpanKey
from billing.schema import Kind
from billing.usage import Usage, add_up
from common.mongo import Database

_DEVICES_AT_ONCE = 1000
_TIMEOUT_MS = 25_000


class CellStore:
    """The cold documents, read a quarter-hour at a time, for less than half of what a question a device costs."""

    def __init__(self, database: Database, days: DayStore) -> None:
        self._database = database
        self._days = days

    async def by_device(
        self,
        kind: Kind,
        device_ids: Sequence[str],
        start_ms: int,
        end_ms: int,
        pending: Mapping[SpanKey, Sequence[Observation]],
    ) -> tuple[dict[str, Usage], Sequence[str]]:
        """The usage of each device over a short window, UTC milliseconds, and the devices still to be asked about.

        These are the ones of which a reading waits to be folded, and all of them where cold readings may be let go.
        """
        if self._days.may_be_sealed(day_of(start_ms)):
            return {}, device_ids
        waiting = waiting_devices(pending, kind, start_ms, end_ms)
        folded = [device_id for device_id in device_ids if device_id not in waiting]
        usages: defaultdict[str, list[Usage]] = defaultdict(list)
        for first in range(0, len(folded), _DEVICES_AT_ONCE):
            stages = cells_of(kind, folded[first : first + _DEVICES_AT_ONCE], start_ms, end_ms)
            async for document in self._database[kind.history].aggregate(stages, maxTimeMS=_TIMEOUT_MS):
                usages[document["device_id"]] += usages_of(kind, document)
        found = {device_id: add_up(some) for device_id, some in usages.items() if some}
        return found, [device_id for device_id in device_ids if device_id in waiting]
