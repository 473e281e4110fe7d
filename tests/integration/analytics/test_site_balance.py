"""The balance of sites over a real billing: what is made to leak is found, and where nothing leaks nothing is."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import pytest_asyncio
from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import site_balance_pb2 as sites
from energy.registry.v1 import device_pb2
from energy.telemetry.v1.reading_pb2 import MeterMeasurement, Reading, StorageMeasurement

from common.energy import kwh
from common.instants import duration_from_ms, from_ms
from common.localstack.mesh import Mesh
from common.rich_status import reason_of
from tests.integration.analytics.measured_world import MeasuredWorld, energy, measured_world
from tests.wire.analytics.peers import Registry

QUARTER_MS = 900_000
START_MS = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)
END_MS = START_MS + 96 * QUARTER_MS
DAY: dict[str, Any] = {"start_time": from_ms(START_MS), "end_time": from_ms(END_MS)}
METER, STORAGE = device_pb2.DEVICE_KIND_METER, device_pb2.DEVICE_KIND_STORAGE
# What of the site's energy goes where nothing measures it, kWh a quarter-hour.
LEAKS = {"tight": 0.0, "leaky": 2.0, "gappy": 0.0}


def devices() -> Registry:
    """Sites of a connection, two chargers and a battery each; one with a second meter besides."""
    registry = Registry()  # type: ignore[abstract]
    for site in LEAKS:
        common: dict[str, Any] = {"site_id": site, "interval_ms": QUARTER_MS}
        registry.add(f"{site}-main", METER, **common)
        registry.add(f"{site}-pack", STORAGE, **common)
        for number in (1, 2):
            link = device_pb2.VehicleLink(
                vehicle_id=f"{site}-car", meter_id=f"{site}-charger-{number}", start_time=from_ms(START_MS + number)
            )
            registry.add(f"{site}-charger-{number}", METER, links=[link], **common)
        registry.add(f"{site}-car", device_pb2.DEVICE_KIND_VEHICLE, **common)
    registry.add("leaky-sun", METER, site_id="leaky", interval_ms=QUARTER_MS)
    return registry


def flows() -> list[Reading]:
    """A day of each site, whose connection carries what is behind it and what leaks; seeded."""
    chance = random.Random(3)
    found = []
    for start_ms in range(START_MS, END_MS, QUARTER_MS):
        times: dict[str, Any] = {"start_time": from_ms(start_ms), "interval": duration_from_ms(QUARTER_MS)}
        for site, leak in LEAKS.items():
            first, second, charge, discharge, sun = (round(chance.uniform(0, 3), 6) for _ in range(5))
            sun = sun if site == "leaky" else 0.0
            through = round(first + second + charge - discharge - sun + leak, 6)
            main = MeterMeasurement(import_kwh=max(through, 0.0), export_kwh=max(-through, 0.0))
            pack = StorageMeasurement(charge_kwh=charge, discharge_kwh=discharge)
            found += [
                Reading(device_id=f"{site}-main", meter=main, **times),
                Reading(device_id=f"{site}-charger-1", meter=MeterMeasurement(import_kwh=first), **times),
                Reading(device_id=f"{site}-pack", storage=pack, **times),
            ]
            if site != "gappy" or start_ms < START_MS + 48 * QUARTER_MS:
                found.append(Reading(device_id=f"{site}-charger-2", meter=MeterMeasurement(import_kwh=second), **times))
            if site == "leaky":
                found.append(Reading(device_id="leaky-sun", meter=MeterMeasurement(export_kwh=sun), **times))
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def world(servers: Mesh) -> AsyncIterator[MeasuredWorld]:
    """The readings on record."""
    async with measured_world(servers, devices()) as opened:
        await opened.send(flows())
        yield opened


async def balance_of(world: MeasuredWorld, site: str, **fields: Any) -> sites.SiteBalance:
    """The balance of a site over the day."""
    request = pb.GetSiteBalanceRequest(site_id=site, **(DAY | fields))
    answer = await world.analytics.GetSiteBalance(request, timeout=20)
    return sites.SiteBalance.FromString(answer.balance.SerializeToString())


async def test_a_tight_site_is_balanced_to_the_milliwatt_hour(world: MeasuredWorld) -> None:
    """Its connection is found by itself: the only meter without a vehicle."""
    balance = await balance_of(world, "tight", tolerance_percent=0.0)

    assert {one.device_id: one.role for one in balance.devices} == {
        "tight-main": sites.SITE_DEVICE_ROLE_GRID_METER,
        "tight-charger-1": sites.SITE_DEVICE_ROLE_CHARGER,
        "tight-charger-2": sites.SITE_DEVICE_ROLE_CHARGER,
        "tight-pack": sites.SITE_DEVICE_ROLE_STORAGE,
    }
    for field, device_ids, name in (
        ("grid_import_kwh", ["tight-main"], "import_kwh"),
        ("grid_export_kwh", ["tight-main"], "export_kwh"),
        ("charger_kwh", ["tight-charger-1", "tight-charger-2"], "import_kwh"),
    ):
        assert getattr(balance, field) == kwh(energy(world.within(device_ids, START_MS, END_MS), name)), field
    pack = world.within(["tight-pack"], START_MS, END_MS)
    assert balance.storage_kwh == kwh(energy(pack, "charge_kwh") - energy(pack, "discharge_kwh"))
    assert not balance.HasField("other_meter_kwh")
    assert (balance.residual_kwh, balance.residual_percent) == (0.0, 0.0)
    assert (balance.state, list(balance.missing_device_ids)) == (sites.SITE_BALANCE_STATE_BALANCED, [])


async def test_a_leak_is_the_residual(world: MeasuredWorld) -> None:
    """Two kilowatt-hours each quarter-hour, with a sun behind the connection, whose meter is none of it."""
    balance = await balance_of(world, "leaky", grid_meter_ids=["leaky-main"])

    assert balance.residual_kwh == 2 * 96
    assert balance.other_meter_kwh == -kwh(energy(world.within(["leaky-sun"], START_MS, END_MS), "export_kwh"))
    assert balance.state == sites.SITE_BALANCE_STATE_UNEXPLAINED
    supplied = sum(
        energy(world.within([device_id], START_MS, END_MS), name)
        for device_id, name in (
            ("leaky-main", "import_kwh"),
            ("leaky-pack", "discharge_kwh"),
            ("leaky-sun", "export_kwh"),
        )
    )
    assert balance.residual_percent == pytest.approx(100 * 192 / kwh(supplied))


async def test_a_meter_that_fell_silent_is_named_and_nothing_is_judged(world: MeasuredWorld) -> None:
    """What it did not measure is in the residual."""
    balance = await balance_of(world, "gappy")

    assert list(balance.missing_device_ids) == ["gappy-charger-2"]
    assert balance.state == sites.SITE_BALANCE_STATE_INCOMPLETE
    assert balance.residual_kwh > 0


@pytest.mark.parametrize(
    ("site", "fields", "code", "reason"),
    [
        ("nowhere", {}, grpc.StatusCode.NOT_FOUND, "SCOPE_EMPTY"),
        ("leaky", {}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_REQUIRED"),
        ("tight", {"grid_meter_ids": ["leaky-main"]}, grpc.StatusCode.INVALID_ARGUMENT, "OUT_OF_RANGE"),
        ("tight", {"grid_meter_ids": ["tight-pack"]}, grpc.StatusCode.INVALID_ARGUMENT, "OUT_OF_RANGE"),
    ],
    ids=str,
)
async def test_a_connection_that_cannot_be_known_has_to_be_named(
    world: MeasuredWorld, site: str, fields: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    """By meters of the site."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await balance_of(world, site, **fields)

    assert (refused.value.code(), reason_of(refused.value)) == (code, reason)
