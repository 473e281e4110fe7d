"""Finds the closed windows that lack what came late, by what billing has on record: what the queues lost is there.

Late readings come by the queue too, and sooner. But a queue drops its oldest when it is full, and everything after a
day; the log drops nothing. So billing is asked now and then, and at the start, for which quarter-hours something was
recorded late since the last time, which costs it one look at an index; of what windows have already nothing is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc
from energy.billing.v1 import usage_service_pb2 as pb
from energy.billing.v1 import usage_service_pb2_grpc
from prometheus_client import CollectorRegistry, Counter
from pymongo.errors import PyMongoError

from analytics.windows.due_window import DueWindow, open_from_ms
from analytics.windows.due_window_store import DueWindowStore
from analytics.windows.region_window import WINDOW_MS
from analytics.windows.region_window_store import RegionWindowStore
from analytics.windows.window_progress_store import WindowProgressStore
from common.call_deadline import patience
from common.grpc_client import UNARY_TIMEOUT_SECONDS
from common.instants import optional_from_ms, to_ms
from common.logs import get_logger

_AWAY_SECONDS = 5.0
_STARTS_A_QUESTION = 200

_log = get_logger(__name__)


class Regional(Protocol):
    """Something in a region."""

    @property
    def region(self) -> str:
        """The region."""


class Meters(Protocol):
    """The registered meters."""

    async def wait_ready(self) -> None:
        """Returns when every device is known."""

    def regions(self) -> list[str]:
        """The regions with meters."""


@dataclass(frozen=True, slots=True)
class LateStores:
    """What has to be known of windows: which are there, which are due, and how far it was looked."""

    windows: RegionWindowStore
    due: DueWindowStore
    progress: WindowProgressStore


def late_windows(
    late: Iterable[pb.LateQuarterHour],
    region_of: Callable[[str], str | None],
    regions: Sequence[str],
    *,
    lateness_ms: int,
    kept_ms: int,
) -> dict[tuple[str, int], int]:
    """Which windows got something late, by region and start: when the last of it was recorded, UTC milliseconds.

    Without those that are not closed yet by then, and those that ended longer than `kept_ms` before.
    """
    found: dict[tuple[str, int], int] = {}
    for one in late:
        start_ms, record_ms = to_ms(one.start_time), to_ms(one.latest_record_time)
        if start_ms >= open_from_ms(record_ms, lateness_ms) or start_ms + WINDOW_MS < record_ms - kept_ms:
            continue
        places = regions if one.any_device else {region_of(device_id) for device_id in one.device_ids}
        for region in places:
            if region is not None:
                found[region, start_ms] = max(record_ms, found.get((region, start_ms), 0))
    return found


def lacking(late: Mapping[tuple[str, int], int], complete_through_ms: Mapping[tuple[str, int], int]) -> list[DueWindow]:
    """Those of some windows that do not have what came late, by what each that is closed is complete through."""
    return [
        DueWindow(region, start_ms, record_ms, record_ms)
        for (region, start_ms), record_ms in late.items()
        if complete_through_ms.get((region, start_ms), 0) < record_ms
    ]


class LateCheck:
    """Asks billing every `every_seconds`, by `run()`; any number of replicas may.

    `find_device` gives None for a device that is not registered.
    """

    def __init__(
        self,
        usage: usage_service_pb2_grpc.UsageServiceAsyncStub,
        stores: LateStores,
        meters: Meters,
        registry: CollectorRegistry,
        *,
        find_device: Callable[[str], Regional | None],
        lateness_ms: int,
        kept_ms: int,
        every_seconds: float,
    ) -> None:
        self._usage = usage
        self._stores = stores
        self._meters = meters
        self._find_device = find_device
        self._lateness_ms = lateness_ms
        self._kept_ms = kept_ms
        self._every_seconds = every_seconds
        self._found = Counter(
            "region_windows_found_late",
            "Windows found by asking billing to lack what came late, and that were not marked for it.",
            registry=registry,
        )

    async def run(self) -> None:
        """Asks until cancelled; billing or a store that is away is asked again."""
        await self._meters.wait_ready()
        while True:
            wait_seconds = self._every_seconds
            try:
                if await self.look():
                    wait_seconds = 0.0
            except (PyMongoError, grpc.aio.AioRpcError) as away:
                _log.warning("late_readings_not_listed", cause=type(away).__name__)
                wait_seconds = _AWAY_SECONDS
            await asyncio.sleep(wait_seconds)

    async def look(self) -> bool:
        """Asks once, and marks what lacks something; whether there may be more.

        Raises:
            pymongo.errors.PyMongoError: the store is away.
            grpc.aio.AioRpcError: billing is.
        """
        after = optional_from_ms(await self._stores.progress.listed_through_ms())
        request = pb.ListLateReadingsRequest(recorded_after=after)
        answer = await self._usage.ListLateReadings(request, timeout=patience(UNARY_TIMEOUT_SECONDS))
        if not answer.HasField("listed_through"):
            return False
        late = late_windows(
            answer.quarter_hours,
            self._region_of,
            self._meters.regions(),
            lateness_ms=self._lateness_ms,
            kept_ms=self._kept_ms,
        )
        starts_ms = sorted({start_ms for _, start_ms in late})
        for first in range(0, len(starts_ms), _STARTS_A_QUESTION):
            some = starts_ms[first : first + _STARTS_A_QUESTION]
            through_ms = await self._stores.windows.complete_through(some)
            of_these = {place: record_ms for place, record_ms in late.items() if some[0] <= place[1] <= some[-1]}
            self._found.inc(await self._stores.due.mark(lacking(of_these, through_ms)))
        # Only now: who dies before asks for the same again.
        await self._stores.progress.listed(to_ms(answer.listed_through))
        return bool(answer.quarter_hours)

    def _region_of(self, device_id: str) -> str | None:
        device = self._find_device(device_id)
        return None if device is None else device.region
