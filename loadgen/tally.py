"""What became of the readings: sent, accepted, refused by reason, and how many were accepted beyond the first."""

from __future__ import annotations

from collections import Counter

# Revisions are at most 1 000 000, so instant and revision share one integer.
_REVISIONS = 1 << 20


class Tally:
    """Counts acked readings by identity (device_id, start, revision); one integer a distinct reading is kept."""

    def __init__(self) -> None:
        self.acked = 0
        """Readings accepted, each time one was accepted."""
        self.duplicates = 0
        """Readings accepted beyond the first of their identity."""
        self.resent = 0
        """Readings that had to be sent again before their ack came."""
        self.refused_by_reason: Counter[str] = Counter()
        self._seen: dict[str, set[int]] = {}

    @property
    def refused(self) -> int:
        """Readings refused, for whatever reason."""
        return sum(self.refused_by_reason.values())

    @property
    def answered(self) -> int:
        """Readings accepted or refused."""
        return self.acked + self.refused

    @property
    def distinct(self) -> int:
        """Identities accepted at least once: what the store has to hold."""
        return self.acked - self.duplicates

    def accept(self, device_id: str, start_ms: int, revision: int) -> None:
        """Counts one accepted reading."""
        seen = self._seen.get(device_id)
        if seen is None:
            seen = self._seen[device_id] = set()
        self.acked += 1
        before = len(seen)
        seen.add(start_ms * _REVISIONS + revision)
        if len(seen) == before:
            self.duplicates += 1

    def refuse(self, reason: str) -> None:
        """Counts one refused reading."""
        self.refused_by_reason[reason] += 1

    def resend(self, count: int) -> None:
        """Counts readings that were sent again before their ack came."""
        self.resent += count

    def distinct_of(self, device_id: str) -> int:
        """Identities of one device accepted at least once."""
        return len(self._seen.get(device_id, ()))
