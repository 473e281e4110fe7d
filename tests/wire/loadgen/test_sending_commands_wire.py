"""The commands that send, against a real server: a fleet, a file, and a mesh that is not there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_VEHICLE, Device

from common.instants import to_ms
from loadgen.commands import FleetRun, Sending, send_file, send_fleet
from loadgen.connection import MeshAway
from loadgen.disturbance import DisturbanceShares
from loadgen.fleet import FleetSpec
from loadgen.registration import RegistrationRefused, register_devices
from loadgen.replay import ReplayedMeter

START_MS = 1_772_303_400_000
HOUR_MS = 3_600_000
HOUSEHOLD = """Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;S_1;S_2;S_3
16/12/2006;17:24:00;4.216;0.418;234.840;18.400;0.000;1.000;17.000
16/12/2006;17:25:00;?;?;?;?;?;?;?
16/12/2006;17:26:00;5.374;0.498;233.290;23.000;0.000;2.000;17.000
"""


def fleet_run(**shares: float) -> FleetRun:
    """Two households, a vehicle with its charger and a battery, for one hour of minutes."""
    spec = FleetSpec(meters=2, vehicles=1, packs=1, seed=5)
    return FleetRun(spec, START_MS, START_MS + HOUR_MS, DisturbanceShares(**shares))


async def test_a_fleet_is_registered_linked_and_sent_completely(gateway: Any) -> None:
    """Five devices for an hour of minutes are 300 readings, each acked; the charger is linked to its vehicle."""
    output = io.StringIO()

    code = await send_fleet(fleet_run(), Sending(gateway.address, output))

    sent = [reading for frame in gateway.servicer.streams[0] for reading in frame.readings]
    assert code == 0
    assert len(sent) == 300
    assert {reading.device_id for reading in sent} == set(gateway.registry.devices)
    assert [(link.vehicle_id, link.meter_id) for link in gateway.registry.links] == [("vehicle-00001", "charger-00001")]
    assert "5 devices, 5 of them new" in output.getvalue()
    assert "300" in output.getvalue()


async def test_duplicates_and_late_readings_are_sent_and_counted(gateway: Any) -> None:
    """Every good reading comes once; the duplicates come on top and are seen as such."""
    output = io.StringIO()

    code = await send_fleet(fleet_run(duplicates=0.2, late=0.2), Sending(gateway.address, output))

    sent = [
        (reading.device_id, to_ms(reading.start_time))
        for frame in gateway.servicer.streams[0]
        for reading in frame.readings
    ]
    assert code == 0
    assert len(set(sent)) == 300
    duplicates = len(sent) - 300
    assert duplicates > 20
    assert f"{duplicates:,} of them" in output.getvalue()


async def test_a_file_is_sent_as_a_meter_made_for_it(gateway: Any, tmp_path: Path) -> None:
    """Of three rows one holds no value: two readings of energy are sent, the third row is reported with its reason."""
    path = tmp_path / "my house.txt"
    path.write_text(HOUSEHOLD, encoding="utf-8")
    output = io.StringIO()

    code = await send_file(path, ReplayedMeter(time_zone="Europe/Paris"), Sending(gateway.address, output))

    (device,) = gateway.registry.devices.values()
    sent = [reading for frame in gateway.servicer.streams[0] for reading in frame.readings]
    assert code == 0
    assert (device.kind, device.time_zone, device.expected_interval.seconds) == (DEVICE_KIND_METER, "Europe/Paris", 60)
    assert device.device_id.startswith("replay-my-house-")
    assert [reading.device_id for reading in sent] == [device.device_id] * 2
    assert "rows in 3, readings 2, rows refused 1" in output.getvalue()
    assert "row 3: VALUE_MISSING" in output.getvalue()
    # (4.216 + 5.374) kW for a minute each; each row rounded to the mWh: 0.070267 + 0.089567.
    assert "0.159833 kWh import (0.159834 kWh with each row rounded to the mWh)" in output.getvalue()


async def test_a_file_of_which_every_row_is_refused_is_a_failure(gateway: Any, tmp_path: Path) -> None:
    """Whoever imports it by a script hears of it; nothing is registered for it."""
    path = tmp_path / "house.txt"
    head, _, missing, _ = HOUSEHOLD.splitlines()
    path.write_text(f"{head}\n{missing}\n", encoding="utf-8")
    output = io.StringIO()

    code = await send_file(path, ReplayedMeter(time_zone="Europe/Paris"), Sending(gateway.address, output))

    assert code == 1
    assert "rows in 1, readings 0, rows refused 1" in output.getvalue()
    assert not gateway.registry.devices


async def test_a_file_goes_to_the_meter_that_exists_already(gateway: Any, tmp_path: Path) -> None:
    """A registered meter is left as it is."""
    gateway.registry.devices["meter-7"] = Device(device_id="meter-7", kind=DEVICE_KIND_METER, time_zone="Asia/Kolkata")
    path = tmp_path / "house.txt"
    path.write_text(HOUSEHOLD, encoding="utf-8")
    meter = ReplayedMeter(device_id="meter-7", time_zone="Europe/Paris")

    await send_file(path, meter, Sending(gateway.address, io.StringIO()))

    assert gateway.registry.devices["meter-7"].time_zone == "Asia/Kolkata"
    assert gateway.servicer.streams[0][0].readings[0].device_id == "meter-7"


async def test_a_file_is_not_sent_as_a_vehicle(gateway: Any, tmp_path: Path) -> None:
    """A file holds a meter's readings; an id of another kind is a mistake to be told."""
    gateway.registry.devices["car"] = Device(device_id="car", kind=DEVICE_KIND_VEHICLE)
    path = tmp_path / "house.txt"
    path.write_text(HOUSEHOLD, encoding="utf-8")
    meter = ReplayedMeter(device_id="car", time_zone="Europe/Paris")

    with pytest.raises(RegistrationRefused, match="car is no meter"):
        await send_file(path, meter, Sending(gateway.address, io.StringIO()))

    assert gateway.servicer.streams == []


async def test_a_mesh_that_is_not_there_is_told_in_one_line() -> None:
    """Whoever forgot to start the mesh reads how to start it."""
    with pytest.raises(MeshAway, match=r"^no gateway at 127\.0\.0\.1:1: start the mesh with `make up`.*$"):
        await send_fleet(fleet_run(), Sending("127.0.0.1:1", io.StringIO()))


async def test_many_devices_are_registered_in_calls_of_a_thousand(gateway: Any) -> None:
    """The registry takes at most a thousand at once."""
    devices = [Device(device_id=f"meter-{n}") for n in range(2500)]

    first = await register_devices(gateway.channel, devices)
    again = await register_devices(gateway.channel, devices)

    assert (first, again) == (2500, 0)
    assert gateway.registry.batch_sizes[:3] == [1000, 1000, 500]


async def test_a_refused_device_is_named(gateway: Any) -> None:
    """The first device that the registry does not take ends the registration with its id and the reason."""
    devices = [Device(device_id="good"), Device(device_id="not good")]

    with pytest.raises(RegistrationRefused, match="device not good: INVALID_FORMAT device_id"):
        await register_devices(gateway.channel, devices)
