"""What was acked is in the queues of every consuming service, in order, whatever happens to the connection."""

from __future__ import annotations

import itertools

from common.topology import CONSUMING_SERVICES
from tests.integration.ingestion.running_ingestion import (
    PARTITIONS,
    FrameSender,
    QueueReader,
    eventually,
    running_ingestion,
)
from tests.integration.ingestion.severable_wire import SeverableWire

EVERY_QUEUE = tuple(itertools.product(CONSUMING_SERVICES, range(PARTITIONS)))


async def test_acked_requests_are_in_every_queue_in_order(broker_url: str, queues: QueueReader) -> None:
    """Five hundred requests: each queue has their Parts in the order sent, in batches numbered without a gap."""
    async with running_ingestion(broker_url) as app:
        await eventually(lambda: app.connection.is_connected)
        queues.start()
        sender = FrameSender(app.server.address)

        await sender.send(500)
        await eventually(lambda: sender.is_answered)
        await sender.close()
        await eventually(lambda: all(len(queues.names(*queue)) == 500 for queue in EVERY_QUEUE))

    assert sender.failed == {}
    for queue in EVERY_QUEUE:
        assert queues.names(*queue) == [str(number) for number in range(1, 501)]
        sequences = queues.sequences(*queue)
        assert sequences == list(range(1, len(sequences) + 1))
        assert len(sequences) < 500


async def test_nothing_acked_is_missing_after_cuts(wire: SeverableWire, wire_url: str, queues: QueueReader) -> None:
    """The connection is reset five times amid the requests; what arrives first is still in order and without a gap."""
    async with running_ingestion(wire_url, away_patience_seconds=15) as app:
        await eventually(lambda: app.connection.is_connected)
        queues.start()
        sender = FrameSender(app.server.address)

        for _ in range(5):
            await sender.send(60)
            wire.cut()
            await sender.send(40)
        await eventually(lambda: sender.is_answered)
        await sender.close()
        await eventually(lambda: all(len(queues.names(*queue)) >= 500 for queue in EVERY_QUEUE))

    assert app.connection.epoch >= 2
    assert (sorted(sender.durable), sender.failed) == (list(range(1, 501)), {})
    for queue in EVERY_QUEUE:
        assert queues.names(*queue) == [str(number) for number in range(1, 501)]
        sequences = queues.sequences(*queue)
        assert sequences == list(range(1, len(sequences) + 1))


async def test_a_lost_confirm_makes_a_duplicate_and_no_loss(
    wire: SeverableWire, wire_url: str, queues: QueueReader
) -> None:
    """Batches whose confirms were lost are sent again under their ids, and no Part comes under a second id."""
    # No tick may be on its way when the silence begins: it alone would be sent again and again.
    async with running_ingestion(
        wire_url, away_patience_seconds=15, publish_timeout_seconds=0.2, tick_seconds=300
    ) as app:
        await eventually(lambda: app.connection.is_connected)
        queues.start()
        sender = FrameSender(app.server.address)
        await sender.send(1)
        await eventually(lambda: sender.is_answered)

        wire.silence(on=True)
        await sender.send(20)
        await eventually(lambda: all(len(queues.names(*queue)) > 1 for queue in EVERY_QUEUE))
        answers_in_silence = len(sender.durable)
        wire.silence(on=False)
        wire.cut()
        await eventually(lambda: sender.is_answered)
        await sender.close()
        await eventually(lambda: all(len(queues.names(*queue)) >= 21 for queue in EVERY_QUEUE))

    assert answers_in_silence == 1
    assert (sorted(sender.durable), sender.failed) == (list(range(1, 22)), {})
    for queue in EVERY_QUEUE:
        assert queues.names(*queue) == [str(number) for number in range(1, 22)]
        assert queues.copies(*queue) > len(queues.sequences(*queue))
