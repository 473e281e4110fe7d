"""The arithmetic behind the page of sizes, out of costs that are measured and settings that are in force."""

import functools
import math
import uuid
from dataclasses import dataclass

import bson
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading

from billing.log.batch_codec import BatchDecoder, DecodedBatch
from billing.log.segment_document import to_document
from common.instants import from_ms
from common.topology import ANALYTICS_QUEUE_BYTES, BILLING_QUEUE_BYTES
from ingestion.config import IngestionConfig
from loadgen.fleet import Fleet
from loadgen.fleet_spec import FleetSpec

START_MS = 1_772_323_200_000
DAY_SECONDS = 86_400
FRAME = 500
# As many as the autoscaler of production begins with, and each writes to every partition.
WRITERS = 3
# From the pages of the benchmarks: what a reading takes at rest, folded by one billing, and written by one store.
AT_REST_BYTES, FOLDED_PER_SECOND, WRITTEN_PER_SECOND = 202, 17_400, 33_390
MEMBERS = 3
# Microseconds of CPU a reading, in frames of 500; and as many replicas as the autoscalers of production begin with.
CPU_MICROSECONDS = {"gateway": 1.8, "ingestion": 0.6, "analytics": 5.4}
LEAST_REPLICAS = {"gateway": 3, "ingestion": WRITERS, "analytics": 2}


@functools.cache
def _measured(count: int) -> tuple[int, int]:
    spec = FleetSpec(meters=FRAME, vehicles=0, packs=0, interval_ms=60_000, seed=5, id_prefix="fleet-", time_zone="UTC")
    (step,) = Fleet(spec).readings(START_MS, START_MS + 60_000)
    readings: list[Reading] = list(step)[:count]
    batch = ReadingBatch(
        batch_id=str(uuid.UUID(int=1)),
        writer=str(uuid.UUID(int=2)),
        sequence=100_000,
        partition=1,
        partition_count=8,
        create_time=from_ms(START_MS),
        parts=[Part(receive_time=from_ms(START_MS), readings=readings)],
    ).SerializeToString()
    decoded = BatchDecoder().decode(batch, START_MS)
    assert isinstance(decoded, DecodedBatch)
    return len(batch), len(bson.encode(to_document(decoded.segment)))


def _by_reading_and_batch(place: int) -> tuple[int, int]:
    """Bytes a reading, and those that a batch takes besides, of what `_measured` has at a place."""
    alone, many = _measured(1)[place], _measured(FRAME)[place]
    by_reading = (many - alone) / (FRAME - 1)
    return round(by_reading), round(alone - by_reading)


def message_bytes() -> tuple[int, int]:
    """Bytes of a message of the broker: a reading, and what each batch takes besides."""
    return _by_reading_and_batch(0)


def segment_bytes() -> tuple[int, int]:
    """Bytes of a document of the log: a reading, and what each batch takes besides."""
    return _by_reading_and_batch(1)


@dataclass(frozen=True, slots=True)
class Size:
    """A fleet with a reading a device and minute; `frame` readings come together, of devices in any partition."""

    devices: int
    frame: int

    @property
    def readings_per_second(self) -> int:
        """Over the whole fleet."""
        return round(self.devices / 60)

    @property
    def billing_replicas(self) -> int:
        """Twice what folds this many readings, and two at least."""
        return max(2, math.ceil(2 * self.readings_per_second / FOLDED_PER_SECOND))

    def replicas(self, service: str) -> int:
        """Twice the cores that it needs, for a replica is one process, and no fewer than production begins with."""
        if service == "billing":
            return self.billing_replicas
        cores = self.readings_per_second * CPU_MICROSECONDS[service] / 1e6
        return max(LEAST_REPLICAS[service], math.ceil(2 * cores))

    @property
    def partitions(self) -> int:
        """A power of two, eight at least, and no fewer than there are consumers."""
        return max(8, 1 << math.ceil(math.log2(self.billing_replicas)))

    @property
    def shards(self) -> int:
        """Twice what writes this many readings."""
        return math.ceil(2 * self.readings_per_second / WRITTEN_PER_SECOND)

    @property
    def readings_per_batch(self) -> float:
        """What has gathered when the pace of ingestion lets the next batch of a partition go."""
        config = IngestionConfig.load({})
        by_reading, besides = message_bytes()
        arriving_per_ms = self.readings_per_second / self.partitions / WRITERS / 1000
        readings = least = max(1.0, self.frame / self.partitions)
        for _ in range(1000):
            steady_ms = 1000 / config.batches_per_second
            pause_ms = steady_ms * (1 + (besides + by_reading * readings) / config.batch_weight_bytes)
            readings = max(least, arriving_per_ms * min(pause_ms, config.batch_longest_wait_ms))
        return readings

    @property
    def batches_per_second(self) -> float:
        """Over all partitions, without those that carry nothing."""
        return self.readings_per_second / self.readings_per_batch

    @property
    def broker_bytes_per_second(self) -> float:
        """What is published."""
        by_reading, besides = message_bytes()
        return self.readings_per_second * by_reading + self.batches_per_second * besides

    @property
    def between_nodes_bytes_per_second(self) -> float:
        """Each message goes into a queue of two services, and from its leader to two other members."""
        return self.broker_bytes_per_second * 2 * (MEMBERS - 1)

    @property
    def stored_bytes_a_day(self) -> float:
        """In the log and in the cold documents of one member of a shard, of all shards together."""
        _, besides = segment_bytes()
        return (self.readings_per_second * AT_REST_BYTES + self.batches_per_second * besides) * DAY_SECONDS

    @property
    def store_may_be_away_hours(self) -> float:
        """Until the queues of billing are full and devices are told to wait."""
        return self.partitions * BILLING_QUEUE_BYTES / self.broker_bytes_per_second / 3600

    @property
    def broker_volume_gib(self) -> int:
        """Of each node: every queue full, twice, and the watermark."""
        return 2 * self.partitions * (BILLING_QUEUE_BYTES + ANALYTICS_QUEUE_BYTES) // (1 << 30) + 4
