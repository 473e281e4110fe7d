"""What ingestion needs of the broker before it serves: the exchanges and queues of every service."""

from __future__ import annotations

from common.broker_topology import declare_once
from ingestion.config import IngestionConfig


async def prepare(config: IngestionConfig) -> None:
    """Declares them for as many partitions as are set; harmless when they are there with the same arguments.

    Raises:
        aiormq.exceptions.ChannelPreconditionFailed: one is there with others.
        aiormq.exceptions.AMQPError, OSError, TimeoutError: the broker is away.
    """
    await declare_once(config.amqp_url.get_secret_value(), config.partitions)
