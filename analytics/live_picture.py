"""Where a reading becomes what a device does now: the newest state and power of each, only ever forward in time."""

from __future__ import annotations

from collections.abc import Iterable

from analytics.observation import Observation

STALE_INTERVALS = 3
STALE_AFTER_AT_LEAST_MS = 30_000


class LiveDevice:
    """What the newest reading of a device said, and when anything was last received from it; instants in UTC ms."""

    __slots__ = ("last_receive_ms", "power_kw", "receive_ms", "revision", "start_ms", "state")

    def __init__(self, newest: Observation) -> None:
        self.last_receive_ms = newest.receive_ms
        self.take(newest)

    def take(self, newest: Observation) -> None:
        """Makes this the newest reading."""
        self.start_ms = newest.start_ms
        self.revision = newest.revision
        self.receive_ms = newest.receive_ms
        self.state = newest.state
        self.power_kw = newest.power_kw


class LivePicture:
    """Every device that ever sent. The same observations give the same picture in whatever order they come."""

    def __init__(self) -> None:
        self._devices: dict[str, LiveDevice] = {}

    def apply(self, observations: Iterable[Observation]) -> None:
        """Takes each observation that is newer than what is known of its device."""
        devices = self._devices
        for seen in observations:
            live = devices.get(seen.device_id)
            if live is None:
                devices[seen.device_id] = LiveDevice(seen)
                continue
            if seen.receive_ms > live.last_receive_ms:  # noqa: PLR1730 - a call would cost more than the comparison
                live.last_receive_ms = seen.receive_ms
            # Nearly every reading is newer, so that is asked first and without a call.
            if seen.start_ms > live.start_ms or _supersedes(seen, live):
                live.take(seen)

    def find(self, device_id: str) -> LiveDevice | None:
        """What is known of a device; None if nothing was ever received from it."""
        return self._devices.get(device_id)


def _supersedes(seen: Observation, live: LiveDevice) -> bool:
    if seen.start_ms != live.start_ms:
        return seen.start_ms > live.start_ms
    if seen.revision != live.revision:
        return seen.revision > live.revision
    # The same reading again, or a conflict: the earliest receipt wins; what is left to decide needs only be the same
    # whatever the order.
    return _rank(seen) < _rank(live)


def _rank(reading: Observation | LiveDevice) -> tuple[int, str, bool, float]:
    return (reading.receive_ms, reading.state, reading.power_kw is not None, reading.power_kw or 0.0)


def stale_after_ms(expected_interval_ms: int) -> int:
    """How long nothing may be received until a device is stale: three expected intervals, at least 30 seconds."""
    return max(STALE_INTERVALS * expected_interval_ms, STALE_AFTER_AT_LEAST_MS)
