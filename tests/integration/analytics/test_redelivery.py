"""On the real broker: whatever is delivered again, and in whatever order, is counted once."""

from __future__ import annotations

from energy.ingestion.v1 import reading_batch_pb2
from energy.telemetry.v1 import reading_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from common.localstack.mesh import Mesh
from tests.integration.analytics.running_analytics import (
    MINUTE_MS,
    PARTITIONS,
    Queues,
    RunningAnalytics,
    batch_of,
    eventually,
    reading_of,
    running_analytics,
)

BATCHES = 20
START_MS = 1_750_000_000_000


def batches() -> list[reading_batch_pb2.ReadingBatch]:
    """20 batches, each with the next reading of a meter, a vehicle and a battery."""
    return [
        batch_of(
            f"batch-{number}",
            START_MS + (number + 1) * MINUTE_MS,
            reading_of(
                "meter-1",
                START_MS + number * MINUTE_MS,
                meter=reading_pb2.MeterMeasurement(import_kwh=0.1, export_kwh=0.000001, power_kw=float(number)),
            ),
            reading_of(
                "vehicle-1",
                START_MS + number * MINUTE_MS,
                vehicle=reading_pb2.VehicleMeasurement(
                    energy_delivered_kwh=0.7, charging_state=reading_pb2.CHARGING_STATE_CHARGING
                ),
            ),
            reading_of(
                "storage-1",
                START_MS + number * MINUTE_MS,
                storage=reading_pb2.StorageMeasurement(charge_kwh=1.0 / 3.0, discharge_kwh=2.0),
            ),
        )
        for number in range(BATCHES)
    ]


async def publish(queues: Queues, sent: list[reading_batch_pb2.ReadingBatch]) -> None:
    """Each batch to the partition it belongs to."""
    for batch in sent:
        partition = int(batch.batch_id.removeprefix("batch-")) % PARTITIONS
        await queues.publish(batch.SerializeToString(), message_id=batch.batch_id, partition=partition)


def assert_each_counted_once(analytics: RunningAnalytics) -> None:
    """Counts and energy of the 20 batches, to the milliwatt-hour, and the newest of each device."""
    meter, vehicle, storage = ({"region": "unknown", "kind": kind} for kind in ("meter", "vehicle", "storage"))
    assert analytics.value("readings_total", **meter) == BATCHES
    assert analytics.value("readings_total", **vehicle) == BATCHES
    assert analytics.value("readings_total", **storage) == BATCHES
    assert analytics.value("energy_import_kwh_total", **meter) == 2.0
    assert analytics.value("energy_export_kwh_total", **meter) == 0.00002
    assert analytics.value("energy_delivered_kwh_total", **vehicle) == 14.0
    assert analytics.value("energy_charge_kwh_total", **storage) == 6.66666
    assert analytics.value("energy_discharge_kwh_total", **storage) == 40.0
    live = analytics.app.picture.find("meter-1")
    assert live is not None
    assert (live.start_ms, live.power_kw) == (START_MS + (BATCHES - 1) * MINUTE_MS, BATCHES - 1.0)


async def test_every_batch_twice_and_in_reverse_changes_nothing(servers: Mesh, queues: Queues) -> None:
    """40 messages, 20 of them known: counts, energy and picture are those of 20."""
    sent = batches()

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await publish(queues, sent)
        await publish(queues, list(reversed(sent)))
        await eventually(lambda: analytics.value("batches_total") == 2 * BATCHES)

        assert analytics.value("batches_duplicate_total") == BATCHES
        assert_each_counted_once(analytics)


async def test_a_lost_connection_loses_and_doubles_nothing(servers: Mesh, queues: Queues) -> None:
    """What was in hand when the connection broke comes again; what was counted before is known."""
    sent = batches()

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await analytics.wait_serving()
        await publish(queues, sent[:10])
        await analytics.app.connection.reconnect("the test wants it")
        await publish(queues, sent[10:])
        await eventually(
            lambda: analytics.value("batches_total") - analytics.value("batches_duplicate_total") == BATCHES
        )

        assert_each_counted_once(analytics)


async def test_the_last_few_are_acknowledged_without_waiting_for_more(servers: Mesh, queues: Queues) -> None:
    """20 batches are fewer than are acknowledged at once; a connection that breaks later brings none of them again."""
    sent = batches()

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await publish(queues, sent[:19])
        await eventually(lambda: analytics.value("batches_total") == BATCHES - 1)
        await eventually(lambda: not any(consumer.unacknowledged_count for consumer in analytics.app.consumers.running))
        await analytics.app.connection.reconnect("the test wants it")
        await publish(queues, sent[19:])
        await eventually(lambda: analytics.value("batches_total") == BATCHES)

        assert analytics.value("batches_duplicate_total") == 0


async def test_everything_taken_is_acknowledged_by_a_stop(servers: Mesh, queues: Queues) -> None:
    """Afterwards nothing comes back into the queues."""
    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await publish(queues, batches())
        await eventually(lambda: analytics.value("batches_total") == BATCHES)

    assert await queues.left_for_analytics() == 0


async def test_what_waited_while_analytics_was_away_is_counted(servers: Mesh, queues: Queues) -> None:
    """The queues keep the batches."""
    await publish(queues, batches())

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await eventually(lambda: analytics.value("batches_total") == BATCHES)

        assert_each_counted_once(analytics)


async def test_a_message_that_is_no_batch_is_dropped_and_counted(servers: Mesh, queues: Queues) -> None:
    """Its neighbours are counted, and it never comes again."""
    sent = batches()

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await publish(queues, sent[:10])
        await queues.publish(b"\xff\xffgarbage", message_id="garbage")
        await publish(queues, sent[10:])
        await eventually(lambda: analytics.value("batches_total") == BATCHES)
        await eventually(lambda: analytics.value("undecodable_total") == 1)

        assert_each_counted_once(analytics)

    assert await queues.left_for_analytics() == 0


async def test_a_reading_that_no_number_holds_is_left_out_and_its_neighbours_counted(
    servers: Mesh, queues: Queues
) -> None:
    """An energy and a time beyond 64 bits; consuming goes on, and they never come again."""
    beyond = [
        reading_of("meter-1", START_MS, meter=reading_pb2.MeterMeasurement(import_kwh=1e13)),
        reading_pb2.Reading(device_id="meter-1", start_time=Timestamp(seconds=2**62)),
    ]
    sent = batches()

    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await publish(queues, sent[:10])
        for number, poison in enumerate(beyond):
            batch = batch_of(f"beyond-{number}", START_MS, poison)
            await queues.publish(batch.SerializeToString(), message_id=batch.batch_id)
        await publish(queues, sent[10:])
        await eventually(lambda: analytics.value("batches_total") == BATCHES + 2)

        assert analytics.value("undecodable_total") == 2
        assert_each_counted_once(analytics)

    assert await queues.left_for_analytics() == 0


async def test_the_tick_of_an_idle_writer_counts_no_reading(servers: Mesh, queues: Queues) -> None:
    """An empty batch is a batch like any other, and acknowledged."""
    async with running_analytics(servers.amqp_url, servers.mongo_url) as analytics:
        await queues.publish(batch_of("tick", START_MS).SerializeToString(), message_id="tick")
        await eventually(lambda: analytics.value("batches_total") == 1)

        assert analytics.value("undecodable_total") == 0
        assert analytics.value("readings_total", region="unknown", kind="meter") == 0

    assert await queues.left_for_analytics() == 0
