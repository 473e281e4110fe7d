"""Tells whoever listens in this process what changed in the registry, whichever gateway changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager

from pymongo.errors import PyMongoError

from common.logs import get_logger
from gateway.device import Device
from gateway.device_store import PAGE_DEVICES, DeviceStore
from gateway.registry_looks import Look, RegistryLooks

_POLL_SECONDS = 1.0

_log = get_logger(__name__)

Listener = Callable[[Sequence[Device]], None]


class DeviceFeed:
    """Reads the whole registry once, then asks the store each second for what changed, less often if that takes long.

    Each question reaches back further than the last one did, so that a change stamped by a slower clock, or written
    late, is not missed, and now and then much further; what was told already is not told again.
    """

    def __init__(self, store: DeviceStore, now_ms: Callable[[], int], poll_seconds: float = _POLL_SECONDS) -> None:
        self._store = store
        self._now_ms = now_ms
        self._poll_seconds = poll_seconds
        self._listeners: list[Listener] = []
        self._seen_ms = 0
        self._told: dict[str, int] = {}
        self._loaded = asyncio.Event()
        self._is_away = False

    @property
    def is_loaded(self) -> bool:
        """Whether every device that existed at the start has been told."""
        return self._loaded.is_set()

    async def require_loaded(self) -> None:
        """For health checks.

        Raises:
            RuntimeError: the registry has not been read yet.
        """
        if not self.is_loaded:
            raise RuntimeError("the registry has not been read yet")

    def listen(self, listener: Listener) -> None:
        """Calls `listener` with each group of changed devices, for ever."""
        self._listeners.append(listener)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Calls `listener` with each group of changed devices while the context is open."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def run(self) -> None:
        """Reads and polls for ever; a server that is away is asked again, never a reason to end."""
        clock = asyncio.get_running_loop().time
        looks = RegistryLooks(self._poll_seconds, clock())
        while True:
            pause_seconds = self._poll_seconds
            try:
                if self.is_loaded:
                    asked_at = clock()
                    look = looks.next(asked_at)
                    await self._poll(look)
                    pause_seconds = looks.answered(look, asked_at, clock())
                else:
                    await self._load()
            except PyMongoError as failure:
                self._note(failure)
            else:
                self._note(None)
            await asyncio.sleep(pause_seconds)

    async def _load(self) -> None:
        started_ms = self._now_ms()
        await self._store.ensure_indexes()
        count = 0
        async with aclosing(self._store.pages()) as pages:
            async for devices in pages:
                count += len(devices)
                self._tell(devices)
        self._seen_ms = started_ms
        self._loaded.set()
        _log.info("registry_loaded", devices=count)

    async def _poll(self, look: Look) -> None:
        started_ms = self._now_ms()
        changes = await self._store.changed_since(max(0, self._seen_ms - look.reach_ms), self._told)
        for start in range(0, len(changes.devices), PAGE_DEVICES):
            self._tell(changes.devices[start : start + PAGE_DEVICES])
        # Only a long look knows everything that another one may find again.
        self._told = changes.versions if look.is_long else self._told | changes.versions
        # Not the newest stamp: a large registration would then be read again each second until the next change.
        self._seen_ms = max(self._seen_ms, started_ms)

    def _tell(self, devices: Sequence[Device]) -> None:
        for listener in tuple(self._listeners):
            listener(devices)

    def _note(self, failure: PyMongoError | None) -> None:
        if self._is_away == (failure is not None):
            return
        self._is_away = failure is not None
        if failure is None:
            _log.info("registry_back")
        else:
            _log.warning("registry_away", problem=type(failure).__name__)
