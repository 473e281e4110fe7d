"""From when until when vehicles charge, by what they do at each look: pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analytics.usage.measured_energy import Window

# A session that lasts is judged so often.
EVERY_MS = 900_000
# And at most its last day, so that what was long ago does not hide what is now.
LONGEST_MS = 86_400_000
# What the meter of the charger has measured may come a little later than what the vehicle has.
SETTLED_MS = 120_000
# A session that could not be judged for so long after it is given up.
GIVEN_UP_MS = 3_600_000
# Of a vehicle that charges when it is first looked at, as after a restart, the session may have begun so long before.
BEGUN_BEFORE_MS = 4 * 3_600_000


@dataclass(slots=True)
class ChargingSession:
    """The charging of a vehicle since `start_ms`; it has paused, or is over, since `pause_ms`, UTC milliseconds.

    `looked_ms` is when it was judged last, or else began to be followed.
    """

    vehicle_id: str
    start_ms: int
    looked_ms: int
    pause_ms: int | None = None

    def window(self, now_ms: int, grid_ms: int) -> Window | None:
        """What of it can be judged now: of a session that has paused, all; None while there is nothing.

        It begins and ends with intervals of `grid_ms`, the longest of the vehicle and its meters: a reading counts
        where it starts, so what a cut interval took would be counted on one side only.
        """
        if self.pause_ms is None:
            end_ms = (now_ms - SETTLED_MS) // grid_ms * grid_ms
        else:
            end_ms = -(-self.pause_ms // grid_ms) * grid_ms
            if now_ms < end_ms + SETTLED_MS:
                return None
        start_ms = max(self.start_ms, end_ms - LONGEST_MS) // grid_ms * grid_ms
        return Window(start_ms, end_ms) if start_ms < end_ms else None


def whole_intervals(windows: Iterable[Window], grid_ms: int) -> list[Window]:
    """What of some windows are whole intervals, by their ends; those without any are left out."""
    whole = [Window(-(-one.start_ms // grid_ms) * grid_ms, one.end_ms // grid_ms * grid_ms) for one in windows]
    return sorted((one for one in whole if one.start_ms < one.end_ms), key=lambda one: (one.end_ms, one.start_ms))


class ChargingSessions:
    """Follows the sessions of all vehicles; one that pauses and goes on before it was judged is the same session."""

    def __init__(self) -> None:
        self._sessions: dict[str, ChargingSession] = {}
        self._known: set[str] = set()

    def follow(self, charging: Mapping[str, int], others: Mapping[str, int], now_ms: int) -> None:
        """Takes the vehicles that charge and the others, each with the instant since when it does as it does."""
        for vehicle_id, since_ms in charging.items():
            session = self._sessions.get(vehicle_id)
            if session is None:
                is_begun = vehicle_id in self._known
                start_ms, looked_ms = (since_ms, now_ms) if is_begun else (since_ms - BEGUN_BEFORE_MS, 0)
                self._sessions[vehicle_id] = ChargingSession(vehicle_id, start_ms, looked_ms)
            else:
                session.pause_ms = None
        self._known.update(charging, others)
        for vehicle_id, session in self._sessions.items():
            if vehicle_id not in charging and session.pause_ms is None:
                session.pause_ms = max(session.start_ms, others.get(vehicle_id, now_ms))

    def due(self, now_ms: int) -> list[ChargingSession]:
        """Those that are to be judged, if they can be: what lasts every quarter of an hour, and what has ended."""
        return [
            one for one in self._sessions.values() if one.pause_ms is not None or now_ms - one.looked_ms >= EVERY_MS
        ]

    def done(self, session: ChargingSession, now_ms: int) -> None:
        """A session was judged, here or by another replica; one that has ended is over with that."""
        session.looked_ms = now_ms
        if session.pause_ms is not None:
            self._sessions.pop(session.vehicle_id, None)

    def not_judged(self, session: ChargingSession, now_ms: int) -> None:
        """A session could not be judged; it is tried again, unless it ended long ago."""
        if session.pause_ms is None:
            session.looked_ms = now_ms
        elif now_ms - session.pause_ms > GIVEN_UP_MS:
            self._sessions.pop(session.vehicle_id, None)
