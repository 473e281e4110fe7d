"""Which partitions' consumers are behind, by what waits in their queues."""

from __future__ import annotations

from collections.abc import Mapping

from common.topology import CONSUMING_SERVICES, queue_name


class ConsumerBacklog:
    """Remembers how deep the queues were when they were looked at last; what is not known is no backlog.

    A partition is behind when `behind_messages` batches or more wait for one of its consumers.
    """

    def __init__(self, behind_messages: int) -> None:
        self._behind_messages = behind_messages
        self._depths: Mapping[str, float] = {}

    def know(self, depths: Mapping[str, float]) -> None:
        """Takes the depths of queues by name, in messages; NaN where it is not known."""
        self._depths = dict(depths)

    def is_behind(self, partition: int) -> bool:
        """Whether batches of the partition wait for some consuming service."""
        return any(
            self._depths.get(queue_name(service, partition), 0) >= self._behind_messages
            for service in CONSUMING_SERVICES
        )
