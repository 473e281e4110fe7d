"""A cluster of three brokers loses a node: what it confirmed is there, it confirms on, and the node comes back."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from common import topology
from common.broker import BrokerConnection, Consumer, Publisher, PublishFailed
from common.localstack import locate
from tests.integration.common.broker_cluster import NODES, Cluster, Node, broker_cluster

ROOT = Path(__file__).resolve().parents[3]
PARTITIONS = 2
PARTITION = 1
MESSAGES = 150
QUEUE = topology.queue_name("billing", PARTITION)
# Those of the cluster in Kubernetes that the oldest broker knows as well.
SETTINGS = "\n".join(
    line
    for line in (ROOT / "k8s/servers/rabbitmq/gridmesh.conf").read_text().splitlines()
    if re.match(r"cluster_formation\.target|cluster_partition_handling|vm_memory", line)
)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Three brokers."""
    if locate.find_rabbitmq(os.environ) is None:
        pytest.skip("there is no RabbitMQ on this machine to make a cluster of")
    async with broker_cluster(tmp_path, SETTINGS) as found:
        yield found


async def publish(publisher: Publisher, numbers: range) -> float:
    """Publishes until each is confirmed; the longest that one took, in seconds."""

    async def one(number: int) -> float:
        began = time.monotonic()
        while True:
            try:
                await publisher.publish(
                    topology.READINGS_EXCHANGE,
                    topology.routing_key(PARTITION),
                    b"batch",
                    message_id=str(number),
                    type_name="energy.ingestion.v1.ReadingBatch",
                    timeout=5,
                )
            except PublishFailed:
                await asyncio.sleep(0.05)
            else:
                return time.monotonic() - began

    return max(await asyncio.gather(*(one(number) for number in numbers)))


async def members_online(node: Node) -> int:
    """How many members of a queue are there, as a node that lives says."""
    code, said = await node.command("rabbitmqctl", "list_queues", "name", "online", "--formatter=csv", "--quiet")
    assert code == 0, said
    (line,) = [line for line in said.splitlines() if line.startswith(f'"{QUEUE}"')]
    return line.count("@")


@pytest.mark.timeout(300)
async def test_a_lost_node_costs_an_election_and_nothing_else(cluster: Cluster) -> None:
    """Two are killed amid publishes, one after the other was back by itself; meanwhile no further one may be taken."""
    connection = BrokerConnection(cluster.url, "test", partial(topology.declare, partitions=PARTITIONS))
    publisher, consumer = Publisher(connection), Consumer(connection, QUEUE, prefetch=10 * MESSAGES)
    received: set[str] = set()
    slowest_seconds = []

    async def take() -> None:
        while True:
            delivery = await consumer.deliveries.get()
            received.add(delivery.message_id)
            await consumer.ack(delivery)

    async with asyncio.timeout(240), asyncio.TaskGroup() as lives:
        running = [lives.create_task(life) for life in (connection.run(), consumer.run(), take())]
        await connection.wait_connected()
        for first, (victim, witness) in enumerate([cluster.nodes[:2], cluster.nodes[1:]]):
            await publish(publisher, range(2 * first * MESSAGES, (2 * first + 1) * MESSAGES))
            assert await members_online(witness) == NODES
            assert (await witness.command("rabbitmq-diagnostics", "check_if_node_is_quorum_critical"))[0] == 0

            rest = lives.create_task(publish(publisher, range((2 * first + 1) * MESSAGES, (2 * first + 2) * MESSAGES)))
            await victim.kill()
            slowest_seconds.append(await rest)
            assert await members_online(witness) == NODES - 1
            assert (await witness.command("rabbitmq-diagnostics", "check_if_node_is_quorum_critical"))[0] != 0

            await victim.start()
            await victim.ready()
            code, said = await witness.command("rabbitmq-upgrade", "await_online_quorum_plus_one", "--timeout", "60")
            assert code == 0, said
        while len(received) < 4 * MESSAGES:  # noqa: ASYNC110 - what another task has got has no event
            await asyncio.sleep(0.05)
        for life in running:
            life.cancel()

    assert received == {str(number) for number in range(4 * MESSAGES)}
    # Longer on a machine that has other things to do; without another channel it is never over.
    assert max(slowest_seconds) < 20
