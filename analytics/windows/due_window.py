"""A window for which readings came late: until when nothing is to be summed up, and when it is known to be done.

Instants are those at which batches were made, by the clock of their writers; so is the one that billing's answers are
complete through. A batch that was made before that instant is in the answer, so no other clock matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from analytics.windows.region_window import HOUR_MS, WINDOW_MS

QUIET_MS = 4_000
"""Late readings seldom come alone: so long after the last instant it is marked for the window is summed up again."""

PATIENCE_MS = 60_000
"""But where they never end, so long after the first one, and then again."""


class DueWindow(NamedTuple):
    """The window of a region from `start_ms` on; the batches with its late readings were made in these bounds."""

    region: str
    start_ms: int
    first_ms: int
    latest_ms: int

    def joined(self, other: DueWindow) -> DueWindow:
        """Both, of the same window; the order does not matter, and neither does saying one twice."""
        return self._replace(
            first_ms=min(self.first_ms, other.first_ms), latest_ms=max(self.latest_ms, other.latest_ms)
        )

    def is_ripe(self, complete_through_ms: int) -> bool:
        """Whether an answer that is complete through this instant has what came late, and it is time to ask for it."""
        is_quiet = complete_through_ms > self.latest_ms + QUIET_MS
        return is_quiet or complete_through_ms > self.first_ms + PATIENCE_MS

    def is_done_by(self, complete_through_ms: int) -> bool:
        """Whether a window that is complete through this instant has everything that came late."""
        return complete_through_ms > self.latest_ms


def by_hour(windows: Iterable[DueWindow]) -> list[list[DueWindow]]:
    """Windows that are of one region and one hour together, in the order of the first of each."""
    hours: dict[tuple[str, int], list[DueWindow]] = {}
    for window in windows:
        hours.setdefault((window.region, window.start_ms // HOUR_MS), []).append(window)
    return list(hours.values())


def open_from_ms(create_ms: int, lateness_ms: int) -> int:
    """The start of the first window for which nothing in a batch is late, by when the batch was made.

    Such a window is closed when answers are complete through its end and the lateness, which is after the batch was
    made; so it has the readings of the batch from its first version on.
    """
    return (create_ms - lateness_ms) // WINDOW_MS * WINDOW_MS
