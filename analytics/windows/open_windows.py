"""Which windows are to be closed next: the newest first, for prices follow from it, and those missed before it."""

from __future__ import annotations

from collections.abc import Iterable

from analytics.windows.region_window import HOUR_MS, WINDOW_MS


class OpenWindows:
    """The starts of windows, UTC milliseconds, in which some region may not be closed.

    At first those of `reach_ms`; what stays open is known for `kept_ms`, by default for as long.
    """

    def __init__(self, reach_ms: int, kept_ms: int | None = None) -> None:
        self._reach_ms = reach_ms
        self._kept_ms = reach_ms if kept_ms is None else max(reach_ms, kept_ms)
        self._starts_ms: set[int] = set()
        self._tried_ms: set[int] = set()
        self._known_to_ms: int | None = None

    def __len__(self) -> int:
        return len(self._starts_ms)

    def know(self, closable_end_ms: int) -> None:
        """Takes in that every window that ends by then may be closed; at first, all of those within reach are open."""
        earliest_ms = closable_end_ms - self._kept_ms // WINDOW_MS * WINDOW_MS
        first_ms = closable_end_ms - self._reach_ms // WINDOW_MS * WINDOW_MS
        from_ms = first_ms if self._known_to_ms is None else max(earliest_ms, self._known_to_ms)
        self._starts_ms = {start_ms for start_ms in self._starts_ms if start_ms >= earliest_ms}
        self._starts_ms.update(range(from_ms, closable_end_ms, WINDOW_MS))
        self._known_to_ms = max(closable_end_ms, from_ms)

    @property
    def closed_through_ms(self) -> int | None:
        """No window that ends by then is open, as far as is known here; None before anything is known."""
        return min(self._starts_ms, default=self._known_to_ms)

    @property
    def last_known(self) -> int | None:
        """The start of the newest window that may be closed, if it is open."""
        if self._known_to_ms is None or self._known_to_ms - WINDOW_MS not in self._starts_ms:
            return None
        return self._known_to_ms - WINDOW_MS

    @property
    def has_untried(self) -> bool:
        """Whether there is a missed one that was not tried yet in this round."""
        return bool(self._untried())

    def newest_missed(self) -> list[int]:
        """The starts of those to be closed next, all of one hour; empty where none is open but the last known.

        Those that could not be closed come again when the others had their turn.
        """
        if not self.has_untried:
            self._tried_ms.clear()
        waiting = self._untried()
        newest_ms = max(waiting, default=None)
        if newest_ms is None:
            return []
        hour_ms = newest_ms // HOUR_MS * HOUR_MS
        return sorted(start_ms for start_ms in waiting if hour_ms <= start_ms < hour_ms + HOUR_MS)

    def _untried(self) -> set[int]:
        return self._starts_ms - self._tried_ms - {self.last_known}

    def tried(self, starts_ms: Iterable[int], *, are_closed: bool) -> None:
        """Takes in whether windows are closed in every region now."""
        if are_closed:
            self._starts_ms.difference_update(starts_ms)
        else:
            self._tried_ms.update(starts_ms)
