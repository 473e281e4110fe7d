"""A reading is refused at the first rule it breaks, by reason and field; at its limits it is taken."""

from __future__ import annotations

import math

import pytest
from energy.common.v1.error_reason_pb2 import ErrorReason
from energy.telemetry.v1.reading_pb2 import CHARGING_STATE_AVAILABLE, Reading

from gateway.plain_measurement import IS_PLAIN
from gateway.validation import fault_in
from tests.unit.gateway.readings import NOW_MS, meter_reading, storage_reading, vehicle_reading

# field, lowest, highest, the next value outside on either side (None: there is none in its type)
ROWS = [
    ("meter.import_kwh", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("meter.export_kwh", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("meter.import_register_kwh", 0.0, 1e9, -1e-9, 1e9 + 1e-3),
    ("meter.export_register_kwh", 0.0, 1e9, -1e-9, 1e9 + 1e-3),
    ("meter.power_kw", -1e6, 1e6, -1e6 - 1e-3, 1e6 + 1e-3),
    ("meter.voltage_v", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("meter.current_a", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("meter.frequency_hz", 0.0, 1e3, -1e-9, 1e3 + 1e-3),
    ("meter.power_factor", -1.0, 1.0, -1.001, 1.001),
    ("meter.temperature_celsius", -100.0, 200.0, -100.1, 200.1),
    ("meter.energy_quality", 1, 8, -1, 9),
    ("meter.quality_method_code", 0, 999, -1, 1000),
    ("meter.quality_reason_code", 0, 999, -1, 1000),
    ("vehicle.energy_delivered_kwh", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("vehicle.power_kw", -1e6, 1e6, -1e6 - 1e-3, 1e6 + 1e-3),
    ("vehicle.state_of_charge_percent", 0.0, 100.0, -0.1, 100.1),
    ("vehicle.battery_temperature_celsius", -100.0, 200.0, -100.1, 200.1),
    ("vehicle.charging_state", 1, 9, -1, 10),
    ("storage.charge_kwh", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("storage.discharge_kwh", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("storage.power_kw", -1e6, 1e6, -1e6 - 1e-3, 1e6 + 1e-3),
    ("storage.state_of_charge_percent", 0.0, 100.0, -0.1, 100.1),
    ("storage.temperature_celsius", -100.0, 200.0, -100.1, 200.1),
    ("storage.voltage_v", 0.0, 1e6, -1e-9, 1e6 + 1e-3),
    ("storage.cycle_count", 0, 10_000_000, -1, 10_000_001),
    ("storage.operating_state", 1, 7, -1, 8),
]
FRACTIONS = [row[0] for row in ROWS if isinstance(row[1], float)]

READING_OF_KIND = {"meter": meter_reading, "vehicle": vehicle_reading, "storage": storage_reading}


def reading_with(path: str, value: float) -> tuple[Reading, str]:
    """A valid reading in which one field of the measurement has this value, and its kind."""
    kind, field = path.split(".")
    reading = READING_OF_KIND[kind]()
    setattr(getattr(reading, kind), field, value)
    return reading, kind


def refusal_of(reading: Reading, kind: str) -> tuple[str, str] | None:
    """The reason, without prefix, and the field of the refusal; None if the reading is taken."""
    fault = fault_in(reading, kind, NOW_MS)
    return fault and (ErrorReason.Name(fault.reason).removeprefix("ERROR_REASON_"), fault.field)


@pytest.mark.parametrize(("path", "lowest", "highest", "below", "above"), ROWS, ids=[row[0] for row in ROWS])
def test_a_value_is_taken_at_its_limits_and_refused_beyond(
    path: str, lowest: float, highest: float, below: float, above: float
) -> None:
    """Both ends of the documented range belong to it; the next value outside is refused with the field's path."""
    outcomes = {value: refusal_of(*reading_with(path, value)) for value in (lowest, highest, below, above)}

    assert outcomes == {
        lowest: None,
        highest: None,
        below: ("OUT_OF_RANGE", path),
        above: ("OUT_OF_RANGE", path),
    }


@pytest.mark.parametrize("path", FRACTIONS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_refused(path: str, value: float) -> None:
    """Neither infinity nor a value that is not a number gets through, whatever the field."""
    assert refusal_of(*reading_with(path, value)) == ("OUT_OF_RANGE", path)


def test_the_table_has_a_row_for_every_field_of_every_measurement() -> None:
    """A field that is added to the contract must be given a limit and a row here."""
    in_contract = {
        f"{kind.name}.{field.name}"
        for kind in Reading.DESCRIPTOR.oneofs_by_name["measurement"].fields
        for field in (kind.message_type.fields if kind.message_type else ())
    }

    assert {row[0] for row in ROWS} == in_contract


def test_a_description_names_the_limit_and_its_unit() -> None:
    """A person reads what would have been right."""
    reading, kind = reading_with("vehicle.state_of_charge_percent", 101.0)

    fault = fault_in(reading, kind, NOW_MS)

    assert fault is not None
    assert fault.description == "must be a number in 0..100 percent"


@pytest.mark.parametrize("kind", READING_OF_KIND)
def test_a_usual_reading_is_taken_by_the_quick_look(kind: str) -> None:
    """What nearly all readings are does not need the closer look."""
    reading = READING_OF_KIND[kind]()

    assert IS_PLAIN[kind](getattr(reading, kind))


def test_zero_is_a_value_and_absent_is_none() -> None:
    """A measured zero makes a measurement; a measurement of which every field is absent is no measurement."""
    zero = meter_reading(import_kwh=0.0)
    empty = meter_reading()
    empty.meter.Clear()
    empty.meter.SetInParent()

    assert refusal_of(zero, "meter") is None
    assert refusal_of(empty, "meter") == ("FIELD_REQUIRED", "meter")


def test_a_state_alone_is_a_measurement() -> None:
    """A vehicle that reports only what it does has reported something."""
    reading = vehicle_reading()
    reading.vehicle.Clear()
    reading.vehicle.charging_state = CHARGING_STATE_AVAILABLE

    assert refusal_of(reading, "vehicle") is None


def test_a_reading_without_measurement_is_refused() -> None:
    """The oneof is required."""
    reading = meter_reading()
    reading.ClearField("measurement")

    assert refusal_of(reading, "meter") == ("FIELD_REQUIRED", "measurement")


@pytest.mark.parametrize(
    ("reading", "kind", "field"),
    [
        (vehicle_reading(), "meter", "vehicle"),
        (meter_reading(), "storage", "meter"),
        (storage_reading(), "vehicle", "storage"),
    ],
)
def test_a_measurement_of_another_kind_is_refused(reading: Reading, kind: str, field: str) -> None:
    """The field at fault is the measurement that was given."""
    assert refusal_of(reading, kind) == ("KIND_MISMATCH", field)


@pytest.mark.parametrize(
    ("seconds", "nanos", "refusal"),
    [
        (NOW_MS // 1000 + 120, 0, None),
        (NOW_MS // 1000 + 120, 1_000_000, ("TOO_FAR_AHEAD", "start_time")),
        (253_402_300_800, 0, ("TOO_FAR_AHEAD", "start_time")),
        (1_166_289_240, 0, None),
        (0, 0, None),
        (0, 1_000_000, None),
        (-1, 999_000_000, ("OUT_OF_RANGE", "start_time")),
        (1_789_999_940, 999_000_000, None),
        (1_789_999_940, 1, ("INVALID_FORMAT", "start_time")),
        (1_789_999_940, 1_000_000_000, ("INVALID_FORMAT", "start_time")),
        (1_789_999_940, -1_000_000, ("INVALID_FORMAT", "start_time")),
    ],
)
def test_a_start_is_whole_milliseconds_from_1970_to_2_minutes_ahead(
    seconds: int, nanos: int, refusal: tuple[str, str] | None
) -> None:
    """There is no limit backwards but the beginning of time; finer instants than a millisecond are refused."""
    reading = meter_reading()
    reading.start_time.seconds = seconds
    reading.start_time.nanos = nanos

    assert refusal_of(reading, "meter") == refusal


def test_a_reading_without_a_start_is_refused() -> None:
    """An absent start is not the start of 1970."""
    reading = meter_reading()
    reading.ClearField("start_time")

    assert refusal_of(reading, "meter") == ("FIELD_REQUIRED", "start_time")


@pytest.mark.parametrize(
    ("seconds", "nanos", "refusal"),
    [
        (0, 1_000_000, None),
        (31 * 86_400, 0, None),
        (31 * 86_400, 1_000_000, ("OUT_OF_RANGE", "interval")),
        (31 * 86_400 + 1, 0, ("OUT_OF_RANGE", "interval")),
        (0, 0, ("OUT_OF_RANGE", "interval")),
        (-60, 0, ("OUT_OF_RANGE", "interval")),
        (0, -1_000_000, ("OUT_OF_RANGE", "interval")),
        (60, 1, ("INVALID_FORMAT", "interval")),
        (60, -1_000_000, ("INVALID_FORMAT", "interval")),
        (60, 1_000_000_000, ("INVALID_FORMAT", "interval")),
    ],
)
def test_an_interval_is_whole_milliseconds_up_to_31_days(
    seconds: int, nanos: int, refusal: tuple[str, str] | None
) -> None:
    """Both ends of the documented range belong to it."""
    reading = meter_reading()
    reading.interval.seconds = seconds
    reading.interval.nanos = nanos

    assert refusal_of(reading, "meter") == refusal


def test_an_absent_interval_is_no_fault() -> None:
    """The registered one takes its place."""
    reading = meter_reading()
    reading.ClearField("interval")

    assert refusal_of(reading, "meter") is None


@pytest.mark.parametrize(
    ("revision", "refusal"),
    [(0, None), (1_000_000, None), (-1, ("OUT_OF_RANGE", "revision")), (1_000_001, ("OUT_OF_RANGE", "revision"))],
)
def test_a_revision_is_0_to_a_million(revision: int, refusal: tuple[str, str] | None) -> None:
    """Both ends of the documented range belong to it."""
    reading = meter_reading()
    reading.revision = revision

    assert refusal_of(reading, "meter") == refusal
