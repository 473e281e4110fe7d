"""Finds the partitions that others have made, so that they get ticks though no Part for them comes here."""

from __future__ import annotations

import asyncio

from aiormq.exceptions import ChannelNotFoundEntity

from common.broker import BrokerAway, BrokerConnection
from common.broker_connection import RPC_TIMEOUT_SECONDS
from common.broker_failures import broker_failures
from common.config import PARTITIONS_MAXIMUM
from common.logs import get_logger
from common.topology import CONSUMING_SERVICES, queue_name
from ingestion.group_commit import GroupCommit

_LOOK_SECONDS = 10.0

_log = get_logger(__name__)


class PartitionDiscovery:
    """Asks the broker for queues beyond those known; `run()` must run as a background task.

    Whoever reads waits for a word of every partition that ever was. The process that made one may be gone, and another
    one, or the same after a restart, learns of it by a Part only when a device there sends.
    """

    def __init__(self, connection: BrokerConnection, group_commit: GroupCommit) -> None:
        self._connection = connection
        self._group_commit = group_commit

    async def run(self) -> None:
        """Looks as soon as the broker is there, and every ten seconds, until cancelled."""
        while True:
            await self._connection.wait_connected()
            try:
                await self.look()
            except BrokerAway as away:
                _log.warning("partitions_not_looked_for", cause=str(away))
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Makes the partitions known whose queues exist, from the first one that is not known on.

        Raises:
            BrokerAway: the broker does not answer.
        """
        found = self._group_commit.partition_count
        # On a channel of its own, for a queue that does not exist closes it.
        channel = await self._connection.open_channel(publisher_confirms=False)
        with broker_failures():
            try:
                while found < PARTITIONS_MAXIMUM:
                    queue = queue_name(CONSUMING_SERVICES[0], found)
                    await channel.queue_declare(queue, passive=True, timeout=RPC_TIMEOUT_SECONDS)
                    found += 1
            except ChannelNotFoundEntity:
                pass
            finally:
                if not channel.is_closed:
                    await channel.close(timeout=RPC_TIMEOUT_SECONDS)
        self._group_commit.expect(found)
