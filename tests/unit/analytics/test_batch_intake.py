"""A batch is counted once, however often and in whatever order it is delivered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from energy.ingestion.v1 import reading_batch_pb2
from energy.telemetry.v1 import reading_pb2
from prometheus_client import CollectorRegistry

from analytics.batch_intake import BatchIntake
from analytics.stream.batch_memory import BatchMemory
from analytics.stream.batch_reader import Undecodable
from analytics.stream.live_picture import LivePicture
from analytics.stream.reading_metrics import ReadingMetrics
from analytics.stream.reading_rate import ReadingRate
from common.instants import duration_from_ms, from_ms

RECEIVE_MS = 1_750_000_000_000


def batch(number: int, readings: int = 3) -> bytes:
    """A batch of one part with readings of one meter, each a minute after the one before, 1.5 kWh each."""
    return reading_batch_pb2.ReadingBatch(
        batch_id=f"batch-{number}",
        parts=[
            reading_batch_pb2.Part(
                receive_time=from_ms(RECEIVE_MS + number),
                readings=[
                    reading_pb2.Reading(
                        device_id="m-1",
                        start_time=from_ms((number * readings + index) * 60_000),
                        interval=duration_from_ms(60_000),
                        meter=reading_pb2.MeterMeasurement(import_kwh=1.5, power_kw=float(number)),
                    )
                    for index in range(readings)
                ],
            )
        ],
    ).SerializeToString()


class Desk:
    """An intake with everything it feeds in sight."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.picture = LivePicture()
        self.intake = BatchIntake(
            self.picture,
            ReadingMetrics(self.registry, {"m-1": SimpleNamespace(region="North")}.get),
            ReadingRate(),
            BatchMemory(100),
            now_ms=lambda: RECEIVE_MS,
            monotonic=lambda: 100.5,
        )

    def take(self, *bodies: bytes) -> None:
        """Takes some deliveries together."""
        self.intake.take(self.intake.read([self.intake.open(body) for body in bodies]))

    def value(self, name: str) -> float | None:
        """The value of a metric, of the meters in the region North where it has labels."""
        plain = self.registry.get_sample_value(name)
        if plain is not None:
            return plain
        return self.registry.get_sample_value(name, {"region": "North", "kind": "meter"})


@pytest.fixture
def desk() -> Desk:
    """A fresh intake."""
    return Desk()


def test_a_batch_feeds_counters_picture_and_rate(desk: Desk) -> None:
    """One look at everything."""
    desk.take(batch(1))

    live = desk.picture.find("m-1")
    assert live is not None
    assert live.power_kw == 1.0
    assert desk.value("readings_total") == 3
    assert desk.value("energy_import_kwh_total") == 4.5
    assert desk.intake.readings_per_second() == 0.3


def test_every_batch_twice_and_in_reverse_counts_once(desk: Desk) -> None:
    """Redelivery changes nothing but the count of repeated batches."""
    bodies = [batch(number) for number in range(5)]

    for body in [*bodies, *reversed(bodies)]:
        desk.take(body)

    live = desk.picture.find("m-1")
    assert live is not None
    assert live.power_kw == 4.0
    assert desk.value("readings_total") == 15
    assert desk.value("energy_import_kwh_total") == 22.5
    assert desk.value("batches_total") == 10
    assert desk.value("batches_duplicate_total") == 5
    assert desk.intake.readings_per_second() == 1.5


def test_batches_taken_together_count_as_those_taken_one_by_one(desk: Desk) -> None:
    """A batch that is among them twice counts once."""
    bodies = [batch(number) for number in range(5)]

    desk.take(bodies[1])
    desk.take(*bodies, bodies[3])

    live = desk.picture.find("m-1")
    assert live is not None
    assert live.power_kw == 4.0
    assert desk.value("readings_total") == 15
    assert desk.value("batches_total") == 7
    assert desk.value("batches_duplicate_total") == 2


def test_a_message_that_is_no_batch_is_counted_and_changes_nothing_else(desk: Desk) -> None:
    """The caller is told, so that it can reject the delivery."""
    with pytest.raises(Undecodable):
        desk.intake.open(b"\xff\xff")

    assert desk.value("undecodable_total") == 1
    assert desk.value("batches_total") == 0


def test_an_empty_batch_is_a_batch(desk: Desk) -> None:
    """The tick of an idle writer counts as a batch and as no reading."""
    desk.take(reading_batch_pb2.ReadingBatch(batch_id="tick").SerializeToString())

    assert desk.value("batches_total") == 1
    assert desk.value("readings_total") is None
    assert desk.intake.readings_per_second() == 0.0
