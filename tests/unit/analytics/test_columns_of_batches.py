"""Batches taken as columns leave what they leave when every reading is looked at by itself."""

from __future__ import annotations

from types import SimpleNamespace

from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from analytics.batch_intake import BatchIntake
from analytics.fleet.fleet import FleetSurvey
from analytics.stream.batch_memory import BatchMemory
from analytics.stream.batch_reader import BatchReader
from analytics.stream.live_picture import LiveDevice, LivePicture
from analytics.stream.reading_metrics import ReadingMetrics
from analytics.stream.reading_rate import ReadingRate
from common.instants import from_ms
from common.part_columns import PartReader

NOW_MS = 1_750_000_000_000
DEVICES = {
    f"{kind}-{number}": SimpleNamespace(
        device_id=f"{kind}-{number}", kind=index, region=f"region-{number % 2}", expected_interval_ms=60_000
    )
    for index, kind in enumerate(("meter", "vehicle", "storage"), start=1)
    for number in range(4)
}
STRANGERS = ("meter-9", "meter-ü")

_values = st.sampled_from([0.0, -0.0, 0.25, 7.5, 0.0000005, 1.2345678, -1.0, 1e6, 1e9, 1e13, -3.25])


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """A reading of few devices and starts, so that equal starts and revisions are common."""
    device_id = draw(st.sampled_from([*DEVICES, *STRANGERS]))
    reading = Reading(device_id=device_id, revision=draw(st.sampled_from([0, 0, 0, 3, 1_000_000, -1])))
    reading.start_time.seconds = NOW_MS // 1000 - draw(st.sampled_from([0, 60, 60, 120, 86_400]))
    reading.start_time.nanos = draw(st.sampled_from([0, 0, 0, 250_000_000, 1]))
    interval = draw(st.sampled_from([None, 60, 60, 900, -60]))
    if interval is not None:
        reading.interval.seconds = interval
    kind = draw(st.sampled_from([device_id.split("-", maxsplit=1)[0]] * 5 + ["meter"]))
    measurement = getattr(reading, kind)
    for field in measurement.DESCRIPTOR.fields:
        if draw(st.booleans()):
            value = draw(_values) if field.cpp_type == field.CPPTYPE_DOUBLE else draw(st.integers(-1, 12))
            setattr(measurement, field.name, value)
    return reading


_parts = st.builds(
    lambda receive_ms, some: Part(receive_time=from_ms(NOW_MS + receive_ms), readings=some),
    st.sampled_from([0, 1, 700, 5_000]),
    st.lists(readings(), min_size=1, max_size=12),
)
_batches = st.lists(st.lists(_parts, max_size=4), max_size=4)


class Outcome:
    """What some batches leave in an intake that reads them with a reader of its own."""

    def __init__(self, parts: PartReader, bodies: list[bytes]) -> None:
        registry = CollectorRegistry()
        self.picture = LivePicture()
        intake = BatchIntake(
            self.picture,
            ReadingMetrics(registry, DEVICES.get),
            ReadingRate(),
            BatchMemory(100),
            now_ms=lambda: NOW_MS,
            monotonic=lambda: 100.5,
        )
        intake._reader = BatchReader(parts)
        for body in bodies:
            intake.take(intake.read([intake.open(body)]))
        # Without the moments at which the series were made, and in an order of their own.
        self.metrics = sorted(
            line for line in generate_latest(registry).decode().splitlines() if "_created" not in line
        )
        self.rate = intake.readings_per_second()

    def live(self) -> dict[str, LiveDevice | None]:
        """All that the picture knows."""
        return {device_id: self.picture.find(device_id) for device_id in [*DEVICES, *STRANGERS]}

    def fleet(self) -> dict[object, object]:
        """The groups of the survey."""
        survey = FleetSurvey(self.picture, NOW_MS)
        survey.add(DEVICES.values())
        return dict(survey.groups)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(_batches)
def test_columns_leave_what_messages_leave(batches: list[list[Part]]) -> None:
    """The same picture, the same metrics to the last digit, the same rate and the same fleet."""
    bodies = [
        ReadingBatch(batch_id=f"batch-{number}", parts=parts).SerializeToString()
        for number, parts in enumerate(batches)
    ]

    by_columns = Outcome(PartReader(rows_minimum=1, bytes_minimum=1), bodies)
    by_messages = Outcome(PartReader(bytes_minimum=1 << 30), bodies)

    assert by_columns.live() == by_messages.live()
    assert by_columns.metrics == by_messages.metrics
    assert by_columns.rate == by_messages.rate
    assert by_columns.fleet() == by_messages.fleet()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_batches.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_batches_does_not_matter_to_the_picture(pair: tuple[list[list[Part]], list[list[Part]]]) -> None:
    """As columns, too: whatever comes first, the newest reading of each device stands in the end."""
    one, another = (
        Outcome(
            PartReader(rows_minimum=1, bytes_minimum=1),
            [
                ReadingBatch(batch_id=f"batch-{number}", parts=parts).SerializeToString()
                for number, parts in enumerate(batches)
            ],
        )
        for batches in pair
    )

    assert one.live() == another.live()


def test_sound_readings_of_a_fleet_need_no_look_at_each() -> None:
    """A Part of 300 meters is columns, all of it."""
    sent = []
    for number in range(300):
        reading = Reading(device_id=f"meter-{number % 4}")
        reading.start_time.seconds = NOW_MS // 1000 - 60 * number
        reading.interval.seconds = 60
        reading.meter.import_kwh = 0.25
        sent.append(reading)
    body = ReadingBatch(batch_id="b-1", parts=[Part(receive_time=from_ms(NOW_MS), readings=sent)]).SerializeToString()

    batch = BatchReader().read([BatchReader.open(body)])

    assert batch.observations == []
    assert batch.readings_count == 300
