"""Who should consume which partition: the rules by which replicas share partitions, without a clock of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

HANDED_OVER = ""
"""Stands for the owner of a partition that a replica is giving back: nobody counts it, nobody may take it yet."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What one replica does next: the free partitions it takes, and those of its own that it gives back."""

    take: tuple[int, ...] = ()
    give_back: tuple[int, ...] = ()


def fair_shares(me: str, members: Collection[str], owners: Mapping[int, str | None]) -> Shares:
    """The next step of the replica `me` towards equal shares.

    `members` are the live replicas, `me` among them. `owners` names the owner of every known partition; None is free.
    An owner that is no member keeps its partition until it is seen as free.

    Shares differ by at most one, and the larger ones stay with those who hold most, so that nothing moves without
    need. Free partitions are dealt out in one order that all replicas see alike, so that they do not run for the same
    ones. A surplus goes back by halves, so that the stream of few devices pauses at a time.
    """
    held: dict[str, list[int]] = {member: [] for member in members}
    free = []
    for partition in sorted(owners):
        owner = owners[partition]
        if owner is None:
            free.append(partition)
        elif owner in held:
            held[owner].append(partition)
    least, larger_shares = divmod(len(owners), len(held))
    ranked = sorted(held, key=lambda member: (-len(held[member]), member))
    dealt = 0
    for rank, member in enumerate(ranked):
        missing = least + (rank < larger_shares) - len(held[member])
        if member == me:
            surplus = max(0, -missing)
            given = held[me][len(held[me]) - (surplus + 1) // 2 :]
            return Shares(tuple(free[dealt : dealt + max(0, missing)]), tuple(given))
        dealt += max(0, missing)
    raise ValueError(f"{me} is not among the members")


class Sightings:
    """Which replicas live, judged by how long the count of their heartbeats has stood still before this observer.

    Only the observer's own monotonic clock is used, so no two replicas need the same time. A replica counts as gone
    once its count has stood still for `lease_seconds` of uninterrupted looking: after a pause (the store was away, the
    process slept) everybody is given a whole lease again, for nobody could be seen meanwhile.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._looked_at: float | None = None
        self._seen: dict[str, tuple[int, float]] = {}

    def living(self, heartbeats: Mapping[str, int], now: float) -> set[str]:
        """The replicas that live, of those whose counts have just been read."""
        paused = self._looked_at is None or now - self._looked_at >= self._lease_seconds / 2
        self._looked_at = now
        before = {} if paused else self._seen
        self._seen = {
            replica: before[replica] if before.get(replica, (None, 0.0))[0] == count else (count, now)
            for replica, count in heartbeats.items()
        }
        return {replica for replica, (_, since) in self._seen.items() if now - since < self._lease_seconds}
