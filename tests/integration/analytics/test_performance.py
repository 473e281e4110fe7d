"""How fleets and batteries did, over a real billing, with vehicles that share chargers and a simulated grid battery."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import pytest
import pytest_asyncio
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import efficiency_state_pb2 as states
from energy.analytics.v1.device_scope_pb2 import DeviceScope
from energy.registry.v1 import device_pb2
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement, VehicleMeasurement

from common.energy import kwh
from common.instants import duration_from_ms, from_ms, to_ms
from common.localstack.mesh import Mesh
from common.rich_status import reason_of
from loadgen.storage import Pack
from loadgen.storage_preset import GRID_BATTERY
from loadgen.surroundings import surroundings_at
from tests.integration.analytics.measured_world import MeasuredWorld, energy, measured_world
from tests.wire.analytics.peers import Registry

MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
HOUR_MS = 4 * QUARTER_MS
START_MS = int(datetime(2026, 5, 4, tzinfo=UTC).timestamp() * 1000)
END_MS = START_MS + 24 * HOUR_MS
NOON_MS = START_MS + 12 * HOUR_MS
DAY: dict[str, Any] = {"start_time": from_ms(START_MS), "end_time": from_ms(END_MS)}

# Who charged where, and from when until when.
LINKS = [
    ("good", "charger-1", START_MS - HOUR_MS, None),
    ("leaky", "charger-2", START_MS - HOUR_MS, NOON_MS),
    ("wanderer", "charger-2", NOON_MS, None),
    ("wanderer", "charger-3", START_MS - HOUR_MS, NOON_MS),
    ("small", "charger-4", START_MS - HOUR_MS, None),
    ("impossible", "charger-5", START_MS - HOUR_MS, None),
    ("asleep", "charger-6", START_MS - HOUR_MS, None),
]
CHARGERS = [f"charger-{number}" for number in range(1, 7)]
VEHICLES = ["good", "leaky", "wanderer", "small", "impossible", "asleep", "elsewhere"]
# What of a quarter-hour of its charger reaches the battery.
SHARES = {"good": 0.92, "leaky": 0.7, "wanderer": 0.9, "small": 0.9, "impossible": 1.3, "elsewhere": 0.9}


def devices() -> Registry:
    """Seven vehicles and six chargers in one region, a grid battery in another."""
    registry = Registry()  # type: ignore[abstract]
    for device_id, kind in [
        *((one, device_pb2.DEVICE_KIND_VEHICLE) for one in VEHICLES),
        *((one, device_pb2.DEVICE_KIND_METER) for one in CHARGERS),
    ]:
        registry.add(device_id, kind, region="Depot", interval_ms=QUARTER_MS, links=list(links_of(device_id)))
    for device_id in ("pack", "mute-pack"):
        registry.add(device_id, device_pb2.DEVICE_KIND_STORAGE, region="Plant")
    return registry


def links_of(device_id: str) -> Iterable[device_pb2.VehicleLink]:
    """The links that a vehicle or a meter has."""
    for vehicle_id, meter_id, start_ms, end_ms in LINKS:
        if device_id in {vehicle_id, meter_id}:
            yield device_pb2.VehicleLink(
                vehicle_id=vehicle_id,
                meter_id=meter_id,
                start_time=from_ms(start_ms),
                end_time=None if end_ms is None else from_ms(end_ms),
            )


def charged() -> list[Reading]:
    """A day of every charger, and what of it reached the vehicle that was linked at the time; seeded."""
    chance = random.Random(5)
    found = []
    for start_ms in range(START_MS, END_MS, QUARTER_MS):
        times: dict[str, Any] = {"start_time": from_ms(start_ms), "interval": duration_from_ms(QUARTER_MS)}
        for meter_id in CHARGERS:
            taken = round(chance.uniform(0, 3), 6) * (0.001 if meter_id == "charger-4" else 1)
            found.append(Reading(device_id=meter_id, meter=MeterMeasurement(import_kwh=taken), **times))
            for vehicle_id, linked_id, link_start_ms, link_end_ms in LINKS:
                if (
                    linked_id == meter_id
                    and link_start_ms <= start_ms < (link_end_ms or END_MS)
                    and vehicle_id in SHARES
                ):
                    arrived = round(taken * SHARES[vehicle_id], 6)
                    vehicle = VehicleMeasurement(energy_delivered_kwh=arrived, battery_temperature_celsius=30.0)
                    found.append(Reading(device_id=vehicle_id, vehicle=vehicle, **times))
        elsewhere = VehicleMeasurement(energy_delivered_kwh=1.0)
        found.append(Reading(device_id="elsewhere", vehicle=elsewhere, **times))
    return found


def cycled() -> list[Reading]:
    """A day and a half of a simulated grid battery, minute by minute; the second one tells no state of charge."""
    pack, zone = Pack(GRID_BATTERY, draw=random.Random(1).random), ZoneInfo("Asia/Kolkata")
    found = []
    for start_ms in range(START_MS, END_MS + 12 * HOUR_MS, MINUTE_MS):
        times: dict[str, Any] = {"start_time": from_ms(start_ms), "interval": duration_from_ms(MINUTE_MS)}
        fields: Any = pack.measure(surroundings_at(start_ms, MINUTE_MS, zone))
        measured = StorageMeasurement(**fields)
        found.append(Reading(device_id="pack", storage=measured, **times))
        mute = StorageMeasurement(charge_kwh=measured.charge_kwh, discharge_kwh=measured.discharge_kwh)
        found.append(Reading(device_id="mute-pack", storage=mute, **times))
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def world(servers: Mesh) -> AsyncIterator[MeasuredWorld]:
    """The readings on record."""
    async with measured_world(servers, devices()) as opened:
        await opened.send(charged() + cycled())
        yield opened


def ac_of(world: MeasuredWorld, vehicle_id: str) -> int:
    """What the chargers of a vehicle took while it was linked to them, milliwatt-hours."""
    return sum(
        energy(world.within([meter_id], max(start_ms, START_MS), min(end_ms or END_MS, END_MS)), "import_kwh")
        for linked_id, meter_id, start_ms, end_ms in LINKS
        if linked_id == vehicle_id
    )


def dc_of(world: MeasuredWorld, vehicle_id: str) -> int:
    """What arrived in a vehicle, milliwatt-hours."""
    return energy(world.within([vehicle_id], START_MS, END_MS), "energy_delivered_kwh")


async def test_a_fleet_is_its_vehicles_each_by_its_own_chargers(world: MeasuredWorld) -> None:
    """Sorted by loss, with states, and with sums over those of which both sides are known and fit."""
    request = pb.GetFleetPerformanceRequest(scope=DeviceScope(region="Depot"), **DAY)

    fleet = (await world.analytics.GetFleetPerformance(request, timeout=20)).performance

    found = {one.device_id: one for one in fleet.vehicles}
    assert {name: one.efficiency_state for name, one in found.items()} == {
        "good": states.EFFICIENCY_STATE_OK,
        "wanderer": states.EFFICIENCY_STATE_OK,
        "leaky": states.EFFICIENCY_STATE_LOW,
        "small": states.EFFICIENCY_STATE_TOO_SMALL,
        "impossible": states.EFFICIENCY_STATE_DATA_ERROR,
        "asleep": states.EFFICIENCY_STATE_NO_DATA,
        "elsewhere": states.EFFICIENCY_STATE_NO_DATA,
    }
    both = ["good", "wanderer", "leaky", "small", "impossible"]
    for name in both:
        ac, dc = ac_of(world, name), dc_of(world, name)
        assert (found[name].ac_kwh, found[name].dc_kwh) == (kwh(ac), kwh(dc)), name
        assert (found[name].loss_kwh, found[name].efficiency) == (kwh(ac - dc), dc / ac), name
    assert list(found["wanderer"].meter_ids) == ["charger-2", "charger-3"]
    assert [found[name].HasField("loss_kwh") for name in ("asleep", "elsewhere")] == [False, False]
    by_loss = sorted(both, key=lambda name: dc_of(world, name) - ac_of(world, name))
    assert [one.device_id for one in fleet.vehicles] == [*by_loss, "asleep", "elsewhere"]

    compared = [name for name in both if name != "impossible"]
    ac, dc = (sum(energy_of(world, name) for name in compared) for energy_of in (ac_of, dc_of))
    assert (fleet.vehicle_count, fleet.compared_vehicle_count) == (7, 4)
    assert (fleet.ac_kwh, fleet.dc_kwh, fleet.loss_kwh, fleet.efficiency) == (kwh(ac), kwh(dc), kwh(ac - dc), dc / ac)
    assert {one.efficiency_state: one.vehicle_count for one in fleet.state_counts} == {1: 2, 2: 1, 3: 1, 4: 1, 5: 2}


async def test_one_vehicle_is_told_as_the_fleet_tells_it(world: MeasuredWorld) -> None:
    """By two ways to the same numbers."""
    fleet = await world.analytics.GetFleetPerformance(
        pb.GetFleetPerformanceRequest(scope=DeviceScope(account_id="account-1"), **DAY), timeout=20
    )

    assert len(fleet.performance.vehicles) == fleet.performance.vehicle_count > 1
    for vehicle in fleet.performance.vehicles:
        alone = await world.analytics.GetPerformance(
            pb.GetPerformanceRequest(device_id=vehicle.device_id, **DAY), timeout=20
        )
        assert alone.performance == vehicle


async def test_the_listed_vehicles_may_be_those_of_some_states_and_few(world: MeasuredWorld) -> None:
    """Counts and sums stay over all."""
    fleet = await world.analytics.GetFleetPerformance(
        pb.GetFleetPerformanceRequest(
            scope=DeviceScope(all=True),
            limit=1,
            efficiency_states=[states.EFFICIENCY_STATE_LOW, states.EFFICIENCY_STATE_OK],
            **DAY,
        ),
        timeout=20,
    )

    assert [one.device_id for one in fleet.performance.vehicles] == ["leaky"]
    assert (fleet.performance.vehicle_count, len(fleet.performance.state_counts)) == (7, 5)


async def test_a_region_without_vehicles_has_no_fleet(world: MeasuredWorld) -> None:
    """NOT_FOUND, for 0 of 0 is no answer."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.analytics.GetFleetPerformance(
            pb.GetFleetPerformanceRequest(scope=DeviceScope(region="Plant"), **DAY), timeout=20
        )

    assert (refused.value.code(), reason_of(refused.value)) == (grpc.StatusCode.NOT_FOUND, "SCOPE_EMPTY")


@pytest.mark.parametrize(("start_hour", "end_hour"), [(0, 24), (3, 11), (5, 30), (7.25, 35.5)])
async def test_a_battery_gives_back_what_it_was_made_to(
    world: MeasuredWorld, start_hour: float, end_hour: float
) -> None:
    """However full it is at both ends, the efficiency of the simulated one is found again."""
    start_ms, end_ms = (START_MS + int(hour * HOUR_MS) for hour in (start_hour, end_hour))
    request = pb.GetStoragePerformanceRequest(
        device_id="pack",
        start_time=from_ms(start_ms),
        end_time=from_ms(end_ms),
        capacity_kwh=GRID_BATTERY.capacity_kwh,
    )

    storage = (await world.analytics.GetStoragePerformance(request, timeout=20)).performance

    counted = world.within(["pack"], start_ms + MINUTE_MS, end_ms)
    assert (to_ms(storage.measured_start_time), to_ms(storage.measured_end_time)) == (start_ms + MINUTE_MS, end_ms)
    assert storage.charge_kwh == kwh(energy(counted, "charge_kwh"))
    assert storage.discharge_kwh == kwh(energy(counted, "discharge_kwh"))
    assert storage.start_state_of_charge_percent != storage.end_state_of_charge_percent
    assert storage.round_trip_efficiency == pytest.approx(GRID_BATTERY.round_trip_efficiency, abs=1e-3)
    lost = storage.charge_kwh - storage.discharge_kwh - storage.stored_difference_kwh
    assert storage.loss_kwh == pytest.approx(lost)
    assert storage.efficiency_state == states.EFFICIENCY_STATE_OK


@pytest.mark.parametrize(
    ("device_id", "capacity_kwh"), [("pack", None), ("mute-pack", GRID_BATTERY.capacity_kwh)], ids=str
)
async def test_what_cannot_be_known_of_a_battery_is_absent(
    world: MeasuredWorld, device_id: str, capacity_kwh: float | None
) -> None:
    """Without a capacity, or without a state of charge."""
    request = pb.GetStoragePerformanceRequest(
        device_id=device_id,
        start_time=from_ms(START_MS + 3 * HOUR_MS),
        end_time=from_ms(START_MS + 11 * HOUR_MS),
        capacity_kwh=capacity_kwh,
    )

    storage = (await world.analytics.GetStoragePerformance(request, timeout=20)).performance

    assert storage.efficiency_state == states.EFFICIENCY_STATE_NO_DATA
    for absent in ("round_trip_efficiency", "loss_kwh", "stored_difference_kwh"):
        assert not storage.HasField(absent), absent
    assert storage.HasField("start_state_of_charge_percent") == (device_id == "pack")
    assert storage.HasField("charge_kwh") == (device_id == "pack")


async def test_only_a_battery_is_a_battery(world: MeasuredWorld) -> None:
    """A vehicle has an efficiency of another kind."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.analytics.GetStoragePerformance(pb.GetStoragePerformanceRequest(device_id="good"), timeout=20)

    assert (refused.value.code(), reason_of(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "KIND_MISMATCH")
