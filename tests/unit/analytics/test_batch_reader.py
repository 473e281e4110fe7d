"""A batch off the queue becomes observations, or is refused as a whole."""

from __future__ import annotations

import math

import pytest
from energy.ingestion.v1 import reading_batch_pb2
from energy.telemetry.v1 import reading_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from analytics.stream.batch_reader import BatchReader, Undecodable, observe
from analytics.stream.observation import Observation
from analytics.stream.observed_columns import columns_of
from common.instants import duration_from_ms, from_ms
from common.part_columns import PartReader

START_MS = 1_750_000_000_000
RECEIVE_MS = START_MS + 61_500


def reading(**measurement: object) -> reading_pb2.Reading:
    """A reading of one minute from START_MS, revision 2."""
    return reading_pb2.Reading(
        device_id="device-1",
        start_time=from_ms(START_MS),
        interval=duration_from_ms(60_000),
        revision=2,
        **measurement,  # type: ignore[arg-type]
    )


def test_a_meter_reports_its_import_and_export() -> None:
    """Energy is rounded once to whole milliwatt-hours; the state of a meter is that it reports."""
    meter = reading_pb2.MeterMeasurement(import_kwh=1.2345678, export_kwh=0.5, power_kw=74.0)

    seen = observe(reading(meter=meter), RECEIVE_MS)

    assert seen == Observation(
        "device-1", "meter", START_MS, START_MS + 60_000, 2, RECEIVE_MS, "REPORTING", 74.0, 1_234_568, 500_000
    )


def test_a_vehicle_reports_its_charging_state() -> None:
    """The state has the name in the contract without its prefix; the energy is what reached the battery."""
    vehicle = reading_pb2.VehicleMeasurement(
        energy_delivered_kwh=0.1, charging_state=reading_pb2.CHARGING_STATE_SUSPENDED_EV
    )

    seen = observe(reading(vehicle=vehicle), RECEIVE_MS)

    assert (seen.kind, seen.state) == ("vehicle", "SUSPENDED_EV")
    assert (seen.taken_milliwatt_hours, seen.given_milliwatt_hours) == (100_000, 0)


def test_storage_reports_charge_and_discharge() -> None:
    """A power of 0 that was measured is 0, not absent."""
    storage = reading_pb2.StorageMeasurement(
        charge_kwh=2.0, discharge_kwh=3.0, power_kw=0.0, operating_state=reading_pb2.OPERATING_STATE_IDLE
    )

    seen = observe(reading(storage=storage), RECEIVE_MS)

    assert (seen.kind, seen.state, seen.power_kw) == ("storage", "IDLE", 0.0)
    assert (seen.taken_milliwatt_hours, seen.given_milliwatt_hours) == (2_000_000, 3_000_000)


@pytest.mark.parametrize(
    ("measurement", "power_kw"),
    [
        ({"meter": reading_pb2.MeterMeasurement(import_kwh=0.1)}, 6.0),
        ({"meter": reading_pb2.MeterMeasurement(import_kwh=0.1, export_kwh=0.3)}, -12.0),
        ({"meter": reading_pb2.MeterMeasurement(export_kwh=0.0)}, 0.0),
        ({"meter": reading_pb2.MeterMeasurement(import_kwh=0.1, power_kw=5.0)}, 5.0),
        ({"meter": reading_pb2.MeterMeasurement(import_register_kwh=7.0)}, None),
        ({"vehicle": reading_pb2.VehicleMeasurement(energy_delivered_kwh=0.1)}, 6.0),
        ({"vehicle": reading_pb2.VehicleMeasurement(state_of_charge_percent=50.0)}, None),
        ({"storage": reading_pb2.StorageMeasurement(charge_kwh=0.1)}, -6.0),
        ({"storage": reading_pb2.StorageMeasurement(discharge_kwh=0.1)}, 6.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows_minimum", [1, 1 << 30], ids=["columns", "messages"])
def test_where_no_power_is_sent_it_is_the_mean_that_the_energy_comes_to(
    measurement: dict[str, object], power_kw: float | None, rows_minimum: int
) -> None:
    """In the sign of the kind; what measured neither has none, and so has a reading without an interval."""
    sent = reading(**measurement)
    without = reading(**measurement)
    without.device_id = "device-2"
    without.ClearField("interval")
    part = reading_batch_pb2.Part(receive_time=from_ms(RECEIVE_MS), readings=[sent, without])
    body = reading_batch_pb2.ReadingBatch(batch_id="b", parts=[part]).SerializeToString()
    reader = BatchReader(PartReader(rows_minimum=rows_minimum, bytes_minimum=min(rows_minimum, 1 << 20)))

    received = reader.read([reader.open(body)])
    assert (received.columns is not None) is (rows_minimum == 1)
    detected = received.columns or columns_of(received.observations)

    powers = dict(zip(detected.device_ids, detected.power_kw.tolist(), strict=True))
    is_sent = "power_kw" in str(measurement)
    expected = [math.nan if power_kw is None else power_kw, power_kw if is_sent else math.nan]
    assert [powers["device-1"], powers["device-2"]] == pytest.approx(expected, nan_ok=True)
    derived = dict(zip(detected.device_ids, detected.is_power_derived.tolist(), strict=True))
    assert is_sent is not (derived["device-1"] or power_kw is None)


@pytest.mark.parametrize("state", [reading_pb2.CHARGING_STATE_UNSPECIFIED, 77])
def test_a_state_that_was_not_reported_or_is_not_known_is_unknown(state: int) -> None:
    """A newer device may send a state of tomorrow."""
    vehicle = reading_pb2.VehicleMeasurement(charging_state=state)  # type: ignore[arg-type]

    assert observe(reading(vehicle=vehicle), RECEIVE_MS).state == "UNKNOWN"


def test_a_measurement_of_an_unknown_kind_is_kept_as_unknown() -> None:
    """A reading whose measurement this release does not know is still a reading."""
    seen = observe(reading(), RECEIVE_MS)

    assert (seen.kind, seen.state) == ("unknown", "UNKNOWN")


def test_a_batch_keeps_its_parts_apart() -> None:
    """Each part has its own time of receipt."""
    meter = reading_pb2.MeterMeasurement(import_kwh=1.0)
    batch = reading_batch_pb2.ReadingBatch(
        batch_id="b-1",
        parts=[
            reading_batch_pb2.Part(receive_time=from_ms(RECEIVE_MS), readings=[reading(meter=meter)] * 2),
            reading_batch_pb2.Part(receive_time=from_ms(RECEIVE_MS + 5), readings=[reading(meter=meter)]),
        ],
    )

    received = BatchReader().read([BatchReader.open(batch.SerializeToString())])

    assert received.batch_ids == ("b-1",)
    assert received.receive_ms == [RECEIVE_MS, RECEIVE_MS + 5]
    assert [seen.receive_ms for seen in received.observations] == [RECEIVE_MS, RECEIVE_MS, RECEIVE_MS + 5]


def test_a_batch_without_parts_is_fine() -> None:
    """It says that its writer is alive."""
    received = BatchReader().read(
        [BatchReader.open(reading_batch_pb2.ReadingBatch(batch_id="b-1").SerializeToString())]
    )

    assert (received.receive_ms, received.readings_count) == ([], 0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xff\xff\xff\xff", id="garbage"),
        pytest.param(b"", id="nothing at all, which has no batch id"),
        pytest.param(reading_batch_pb2.ReadingBatch(batch_id="b-1").SerializeToString()[:-1], id="cut short"),
    ],
)
def test_bytes_that_are_no_batch_are_refused(body: bytes) -> None:
    """They never will be one."""
    with pytest.raises(Undecodable):
        BatchReader.open(body)


@pytest.mark.parametrize("bytes_minimum", [pytest.param(1, id="columns"), pytest.param(1 << 30, id="messages")])
@pytest.mark.parametrize(
    "meter",
    [
        reading_pb2.MeterMeasurement(import_kwh=math.nan),
        reading_pb2.MeterMeasurement(export_kwh=math.inf),
        reading_pb2.MeterMeasurement(power_kw=math.nan),
        reading_pb2.MeterMeasurement(import_kwh=1e13),
    ],
)
def test_a_part_with_a_number_that_is_none_is_left_out(meter: reading_pb2.MeterMeasurement, bytes_minimum: int) -> None:
    """The gateway lets none through, so such a Part is not of its making; the others of its batch are taken."""
    sound = reading(meter=reading_pb2.MeterMeasurement(import_kwh=1.0, power_kw=2.0))
    parts = [[sound] * 20, [sound] * 20 + [reading(meter=meter)] * 20, [sound]]
    batch = reading_batch_pb2.ReadingBatch(
        batch_id="b-1",
        parts=[
            reading_batch_pb2.Part(receive_time=from_ms(RECEIVE_MS + index), readings=readings)
            for index, readings in enumerate(parts)
        ],
    )

    received = BatchReader(PartReader(bytes_minimum=bytes_minimum)).read([BatchReader.open(batch.SerializeToString())])

    assert received.receive_ms == [RECEIVE_MS, RECEIVE_MS + 2]
    assert received.readings_count == 21
    assert received.undecodable_parts == ("ValueError",)


@pytest.mark.parametrize("bytes_minimum", [pytest.param(1, id="columns"), pytest.param(1 << 30, id="messages")])
@pytest.mark.parametrize(
    "poison",
    [
        reading_pb2.Reading(device_id="d-1", start_time=Timestamp(seconds=2**62)),
        reading_pb2.Reading(device_id="d-1", start_time=from_ms(0), interval=Duration(seconds=2**62)),
    ],
    ids=["start", "interval"],
)
def test_a_part_with_a_time_that_is_none_is_left_out(poison: reading_pb2.Reading, bytes_minimum: int) -> None:
    """Milliseconds that 64 bits cannot hold would stop the columns of all."""
    parts = [[reading()], [poison], [reading()]]
    batch = reading_batch_pb2.ReadingBatch(
        batch_id="b-1",
        parts=[reading_batch_pb2.Part(receive_time=from_ms(RECEIVE_MS), readings=readings) for readings in parts],
    )

    received = BatchReader(PartReader(bytes_minimum=bytes_minimum)).read([BatchReader.open(batch.SerializeToString())])

    assert (received.readings_count, received.undecodable_parts) == (2, ("ValueError",))


def test_a_part_that_is_none_is_left_out() -> None:
    """Garbage where a Part should be costs only itself."""
    part = reading_batch_pb2.Part(receive_time=from_ms(RECEIVE_MS), readings=[reading()])
    batch = reading_batch_pb2.UndecodedReadingBatch(batch_id="b-1", parts=[b"\xff\xff", part.SerializeToString()])

    received = BatchReader().read([BatchReader.open(batch.SerializeToString())])

    assert (received.readings_count, received.undecodable_parts) == (1, ("DecodeError",))
