"""How long a connection and a stream on it last, so that callers meet the replicas that have come meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass

# A stream that is asked to leave is done with what it has taken within this time; any other call, too.
_FINISH_SECONDS = 60.0
_SHORTEST_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class ConnectionAge:
    """After so many seconds, give or take a tenth, a server tells a caller to connect again.

    Calls that run then go on. The streams that never end by themselves are asked to leave after half of that time, so
    that each has left before its connection is cut.
    """

    seconds: float = 600.0

    @property
    def stream_seconds(self) -> float:
        """How long a stream may last before it is asked to leave."""
        return self.seconds / 2

    @property
    def grace_seconds(self) -> float:
        """How long the calls of a connection may go on once its caller was told."""
        return self.stream_seconds + _FINISH_SECONDS

    def stay_seconds(self) -> float:
        """How long the next stream stays: a chance apart from others, so that not all leave at once."""
        return self.stream_seconds * random.uniform(_SHORTEST_SHARE, 1.0)  # noqa: S311 - nobody has to be surprised

    def options(self) -> list[tuple[str, int]]:
        """The channel arguments of a server; times in milliseconds."""
        return [
            ("grpc.max_connection_age_ms", round(self.seconds * 1000)),
            ("grpc.max_connection_age_grace_ms", round(self.grace_seconds * 1000)),
        ]


DEFAULT_AGE = ConnectionAge()
