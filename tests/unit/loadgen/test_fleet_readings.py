"""The fleet: who it is, what it sends step by step, and that both can be had again."""

import hashlib
from collections import Counter

import pytest
from energy.registry.v1 import device_pb2
from energy.telemetry.v1.reading_pb2 import Reading

from common.instants import duration_to_ms, to_ms
from loadgen.fleet import DEFAULT_REGIONS, Fleet, FleetSpec, LoadMode

START_MS = 1_759_257_000_000  # 2025-10-01T00:00 in Kolkata
MINUTE_MS = 60_000
MIXED = FleetSpec(meters=10, vehicles=4, packs=2, sensors=15, seed=5)
KIND_OF_MEASUREMENT = {
    "meter": device_pb2.DEVICE_KIND_METER,
    "vehicle": device_pb2.DEVICE_KIND_VEHICLE,
    "storage": device_pb2.DEVICE_KIND_STORAGE,
}


def digest(spec: FleetSpec, start_ms: int, end_ms: int) -> str:
    """A fingerprint of every byte that a fleet sends in a window."""
    sent = hashlib.sha256()
    for step in Fleet(spec).readings(start_ms, end_ms):
        for reading in step:
            sent.update(reading.SerializeToString(deterministic=True))
    return sent.hexdigest()


def steps_of(spec: FleetSpec, steps: int) -> list[list[Reading]]:
    """The fleet's first steps."""
    return list(Fleet(spec).readings(START_MS, START_MS + steps * spec.interval_ms))


def test_the_same_spec_and_window_give_the_same_bytes() -> None:
    """A fleet is reproducible by its seed, and another seed is another fleet."""
    window = (START_MS, START_MS + 120 * MINUTE_MS)

    once, again = digest(MIXED, *window), digest(MIXED, *window)
    other = digest(FleetSpec(meters=10, vehicles=4, packs=2, sensors=15, seed=6), *window)

    assert once == again != other


def test_asking_one_fleet_twice_begins_anew() -> None:
    """An iterator that was left half-way leaves nothing behind for the next one."""
    fleet = Fleet(MIXED)
    first = next(fleet.readings(START_MS, START_MS + 10 * MINUTE_MS))

    again = next(fleet.readings(START_MS, START_MS + 10 * MINUTE_MS))

    assert again == first


def test_a_step_has_one_reading_of_every_device_in_the_order_of_the_devices() -> None:
    """No device is left out, and each gives the measurement of its kind."""
    devices = Fleet(MIXED).devices()

    for step in steps_of(MIXED, 3):
        assert [reading.device_id for reading in step] == [device.device_id for device in devices]
        kinds = [KIND_OF_MEASUREMENT[reading.WhichOneof("measurement") or ""] for reading in step]
        assert kinds == [device.kind for device in devices]


def test_readings_carry_start_and_interval_of_their_step() -> None:
    """Steps follow each other without gap, and a last part of an interval is left out."""
    spec = FleetSpec(meters=1, interval_ms=1_500)

    steps = list(Fleet(spec).readings(START_MS, START_MS + 4_000))

    assert [to_ms(step[0].start_time) for step in steps] == [START_MS, START_MS + 1_500]
    assert all(duration_to_ms(step[0].interval) == 1_500 for step in steps)


def test_ids_are_counted_by_kind() -> None:
    """Every device can be told from its name."""
    ids = [device.device_id for device in Fleet(FleetSpec(meters=2, vehicles=1, packs=1, sensors=2)).devices()]

    assert ids == [
        "meter-00001",
        "meter-00002",
        "charger-00001",
        "vehicle-00001",
        "pack-001",
        "sensor-01",
        "sensor-02",
    ]


def test_a_prefix_keeps_two_fleets_apart() -> None:
    """Devices, accounts and sites of two fleets never meet."""
    plain, other = Fleet(MIXED), Fleet(FleetSpec(meters=10, vehicles=4, packs=2, sensors=15, id_prefix="b-"))

    def names(fleet: Fleet) -> set[str]:
        return {name for each in fleet.devices() for name in (each.device_id, each.account_id, each.site_id)}

    assert not names(plain) & names(other)
    assert all(name.startswith("b-") for name in names(other))
    assert [reading.device_id for reading in next(other.readings(START_MS, START_MS + MINUTE_MS))] == [
        each.device_id for each in other.devices()
    ]


def test_devices_are_complete_for_the_registry() -> None:
    """Account, site, region, zone, interval and connection are filled in."""
    for device in Fleet(MIXED).devices():
        assert device.account_id.startswith("acc-")
        assert device.site_id
        assert device.region in DEFAULT_REGIONS
        assert device.time_zone == "Asia/Kolkata"
        assert duration_to_ms(device.expected_interval) == MINUTE_MS
        assert device.kind == device_pb2.DEVICE_KIND_VEHICLE or device.connection_kw > 0


def test_a_vehicle_and_its_charger_live_with_a_household() -> None:
    """Meter, charger and vehicle of one home share account and site."""
    devices = {each.device_id: each for each in Fleet(MIXED).devices()}

    for number in range(1, 5):
        home, charger, vehicle = (devices[f"{noun}-{number:05d}"] for noun in ("meter", "charger", "vehicle"))
        assert home.account_id == charger.account_id == vehicle.account_id == f"acc-{number:05d}"
        assert home.site_id == charger.site_id == vehicle.site_id
        assert home.region == charger.region == vehicle.region


def test_every_charger_is_linked_to_its_vehicle_since_2000() -> None:
    """A link holds for any reading that a simulated day can have."""
    links = Fleet(MIXED).links()

    assert [(each.meter_id, each.vehicle_id) for each in links] == [
        (f"charger-{number:05d}", f"vehicle-{number:05d}") for number in range(1, 5)
    ]
    assert {each.start_time.ToJsonString() for each in links} == {"2000-01-01T00:00:00Z"}
    assert not any(each.HasField("end_time") for each in links)


def test_an_outage_leaves_three_meters_of_ten_with_supply() -> None:
    """Thirty percent of the meters draw a little, all others report zeros, and none is missing."""
    steps = steps_of(FleetSpec(meters=100, mode=LoadMode.OUTAGE), 30)

    live = Counter(reading.device_id for step in steps for reading in step if reading.meter.voltage_v > 0)

    assert set(live.values()) == {30}
    assert len(live) == 30
    assert all(len(step) == 100 for step in steps)


def test_the_sensors_know_a_power_between_40_and_70_kw_and_its_energy() -> None:
    """The preset of fifteen sensors, two decimals, spread over the whole range."""
    readings = [reading for step in steps_of(FleetSpec(sensors=15), 200) for reading in step]

    powers = [reading.meter.power_kw for reading in readings]

    assert {reading.device_id for reading in readings} == {f"sensor-{number:02d}" for number in range(1, 16)}
    assert 40 <= min(powers) < 40.1
    assert 69.9 < max(powers) <= 70
    assert 54 < sum(powers) / len(powers) < 56
    assert all(power == round(power, 2) for power in powers)
    assert all(reading.meter.import_kwh == pytest.approx(reading.meter.power_kw / 60, abs=1e-6) for reading in readings)


def test_one_more_device_does_not_change_devices_of_another_kind() -> None:
    """A fleet grows without becoming another fleet."""
    small, large = steps_of(FleetSpec(meters=3, packs=1), 20), steps_of(FleetSpec(meters=3, packs=1, vehicles=2), 20)

    for one, other in zip(small, large, strict=True):
        kept = [reading for reading in other if not reading.device_id.startswith(("charger", "vehicle"))]
        assert kept == one


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"meters": -1}, "meters"),
        ({"sensors": -1}, "sensors"),
        ({"interval_ms": 0}, "interval_ms"),
        ({"interval_ms": 31 * 86_400_000 + 1}, "interval_ms"),
        ({"regions": ()}, "regions"),
        ({"id_prefix": "a b"}, "id_prefix"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"mode": "storm"}, "storm"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, object], named: str) -> None:
    """A wrong setting is refused before a device exists, and the text says which."""
    with pytest.raises(ValueError, match=named):
        FleetSpec(**settings)  # type: ignore[arg-type]


def test_a_mode_may_be_given_by_its_name() -> None:
    """A command line hands over text."""
    assert FleetSpec(mode="peak").mode is LoadMode.PEAK  # type: ignore[arg-type]
