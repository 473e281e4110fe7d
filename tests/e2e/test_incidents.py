"""Scripted incidents through real processes: each raises exactly the alerts that it should, and tells each once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from energy.analytics.v1 import alert_pb2, alert_rule_pb2, notification_pb2
from energy.analytics.v1 import alert_service_pb2 as pb
from energy.analytics.v1 import notification_service_pb2 as notification_service
from energy.analytics.v1.alert_service_pb2_grpc import AlertServiceStub
from energy.analytics.v1.analytics_service_pb2 import SetRegionCapacityRequest
from energy.analytics.v1.notification_service_pb2_grpc import NotificationServiceStub
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2 import CreateDeviceRequest, LinkVehicleRequest
from energy.telemetry.v1.reading_pb2 import (
    CHARGING_STATE_CHARGING,
    MeterMeasurement,
    Reading,
    StorageMeasurement,
    VehicleMeasurement,
)
from energy.telemetry.v1.telemetry_service_pb2 import SendReadingsRequest

from common.grpc_client import open_channel
from common.instants import duration_from_ms, from_ms
from common.localstack.mesh import Mesh
from common.mongo import Database, close, open_database
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient
from tests.e2e.settled import Settling

SECOND_MS, MINUTE_MS, HOUR_MS = 1000, 60_000, 3_600_000
WINDOW_MS = 15 * MINUTE_MS
LIMIT_SECONDS = 60
METER, VEHICLE, STORAGE = (
    device_pb2.DEVICE_KIND_METER,
    device_pb2.DEVICE_KIND_VEHICLE,
    device_pb2.DEVICE_KIND_STORAGE,
)


def now_ms() -> int:
    """The clock of devices."""
    return time.time_ns() // 1_000_000


@dataclass
class Scene:
    """A running mesh whose silences are those of seconds where a test asks for it."""

    client: MeshClient
    alerts: Any
    notifications: Any
    outbox: Path
    mesh: Mesh
    database: Database

    def __post_init__(self) -> None:
        """Counts what it sends."""
        self.settling = Settling(self.mesh, self.database, make=self.device, send=self.send, now_ms=now_ms)

    async def device(self, device_id: str, kind: device_pb2.DeviceKind.ValueType, region: str) -> None:
        """A device that sends every second."""
        device = device_pb2.Device(
            device_id=device_id,
            kind=kind,
            account_id="acc",
            region=region,
            time_zone="UTC",
            expected_interval=duration_from_ms(SECOND_MS),
        )
        await self.client.registry.CreateDevice(CreateDeviceRequest(device=device), timeout=CALL_SECONDS)

    async def send(self, readings: Iterable[Reading]) -> None:
        """Readings that are all accepted."""
        readings = list(readings)
        answer = await self.client.telemetry.SendReadings(SendReadingsRequest(readings=readings), timeout=CALL_SECONDS)
        assert not answer.refused
        self.settling.sent_count += len(readings)

    async def rule(
        self, rule_id: str, alert_type: str, region: str = "", *, off: bool = False, **values: float
    ) -> None:
        """A rule."""
        rule = alert_rule_pb2.AlertRule(
            rule_id=rule_id,
            type=alert_pb2.AlertType.Value(f"ALERT_TYPE_{alert_type}"),
            region=region,
            disabled=off,
            thresholds=[alert_rule_pb2.AlertThreshold(name=name, value=value) for name, value in values.items()],
            actor="test",
        )
        await self.alerts.UpsertAlertRule(pb.UpsertAlertRuleRequest(rule=rule), timeout=CALL_SECONDS)

    async def of(self, region: str) -> list[alert_pb2.Alert]:
        """Every alert of a region, the newest first."""
        request = pb.ListAlertsRequest(filter=pb.AlertFilter(region=region))
        return list((await self.alerts.ListAlerts(request, timeout=CALL_SECONDS)).alerts)

    async def until(self, region: str, expected: list[tuple[str, str]]) -> list[alert_pb2.Alert]:
        """The alerts of a region, as soon as they are these, by type and state, and still are when all has settled."""
        found: list[alert_pb2.Alert] = []
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while sorted(map(_name, found)) != sorted(expected):
                    await asyncio.sleep(0.1)
                    found = await self.of(region)
        except TimeoutError:
            pytest.fail(f"{[_name(alert) for alert in found]} and not {expected}")
        await self._until_told(found)
        await self.settling.settle()
        found = await self.of(region)
        assert sorted(map(_name, found)) == sorted(expected)
        assert sorted(await self._told({alert.alert_id for alert in found})) == _to_be_told(found)
        return found

    async def _until_told(self, alerts: list[alert_pb2.Alert]) -> None:
        """Waits until it was told once of each alert that it was raised, and that it is over if it is; no more."""
        expected = _to_be_told(alerts)
        ids = {alert.alert_id for alert in alerts}
        told: list[tuple[str, str]] = []
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while sorted(told) != expected:
                    await asyncio.sleep(0.1)
                    told = await self._told(ids)
        except TimeoutError:
            pytest.fail(f"told {told} and not {expected}")

    async def _told(self, alert_ids: set[str]) -> list[tuple[str, str]]:
        """What was told of some alerts: those notifications whose mail is in the outbox."""
        listed = await self.notifications.ListNotifications(
            notification_service.ListNotificationsRequest(recipient_id="ops"), timeout=CALL_SECONDS
        )
        delivered = await self.notifications.ListDeliveries(
            notification_service.ListDeliveriesRequest(recipient_id="ops"), timeout=CALL_SECONDS
        )
        mails = {
            delivery.notification_id
            for delivery in delivered.deliveries
            if delivery.state == notification_pb2.NOTIFICATION_DELIVERY_STATE_SENT
            and (self.outbox / f"{delivery.delivery_id}.eml").exists()
        }
        return [
            (one.alert.alert_id, notification_pb2.NotificationKind.Name(one.kind).removeprefix("NOTIFICATION_KIND_"))
            for one in listed.notifications
            if one.alert.alert_id in alert_ids and one.notification_id in mails
        ]

    async def tell_operators(self) -> None:
        """Operators get a mail of everything, from its beginning to its end."""
        mail = notification_pb2.NotificationRoute(
            channel=notification_pb2.NOTIFICATION_CHANNEL_EMAIL, address="ops@example.org"
        )
        wanted = notification_pb2.NotificationPreferences(
            recipient_id="ops", all=True, routes=[mail], tell_when_over=True, actor="test"
        )
        request = notification_service.UpdatePreferencesRequest(preferences=wanted)
        await self.notifications.UpdatePreferences(request, timeout=CALL_SECONDS)


def _to_be_told(alerts: list[alert_pb2.Alert]) -> list[tuple[str, str]]:
    over = [alert for alert in alerts if alert.state == alert_pb2.ALERT_STATE_RESOLVED]
    told = [(alert.alert_id, "ALERT_RAISED") for alert in alerts]
    return sorted(told + [(alert.alert_id, "ALERT_OVER") for alert in over])


def _name(alert: alert_pb2.Alert) -> tuple[str, str]:
    return (
        alert_pb2.AlertType.Name(alert.type).removeprefix("ALERT_TYPE_"),
        alert_pb2.AlertState.Name(alert.state).removeprefix("ALERT_STATE_"),
    )


@pytest_asyncio.fixture(loop_scope="session")
async def scene(client: MeshClient, mesh: Mesh, run_dir: Path) -> AsyncIterator[Scene]:
    """Alerts are over a second after their cause, and nothing is silent unless a test asks for it."""
    async with open_channel(mesh.environment["ANALYTICS_ADDRESS"]) as channel:
        database = open_database(mesh.mongo_url)
        stubs = AlertServiceStub(channel), NotificationServiceStub(channel)
        opened = Scene(client, *stubs, run_dir / "outbox", mesh, database)
        await opened.settling.begin()
        await opened.tell_operators()
        for name in ("OVER_TEMPERATURE", "FROZEN_VALUE", "REGION_OVERLOAD", "EFFICIENCY_LOW", "REGION_SILENT"):
            await opened.rule(f"quick-{name}", name, hold_seconds=1)
        await opened.rule("quick-voltage", "VOLTAGE_OUT_OF_BAND", hold_seconds=5)
        await opened.rule("quiet", "DEVICE_SILENT", off=True)
        yield opened
        close(database)


def reading(device_id: str, start_ms: int, **measurement: Any) -> Reading:
    """A reading of a second, unless it says otherwise."""
    length_ms = measurement.pop("length_ms", SECOND_MS)
    return Reading(
        device_id=device_id, start_time=from_ms(start_ms), interval=duration_from_ms(length_ms), **measurement
    )


def meter(**values: Any) -> dict[str, Any]:
    """What a meter measured."""
    return {"meter": MeterMeasurement(**values)}


async def test_a_frozen_meter_is_one_alert_until_it_moves(scene: Scene) -> None:
    """However often it says the same."""
    await scene.device("frozen-1", METER, "Frozen")
    start_ms = now_ms() - 60 * SECOND_MS
    await scene.send(reading("frozen-1", start_ms + at * SECOND_MS, **meter(power_kw=1.5)) for at in range(50))
    await scene.until("Frozen", [("FROZEN_VALUE", "RAISED")])

    await scene.send([reading("frozen-1", start_ms + 55 * SECOND_MS, **meter(power_kw=1.6))])
    await scene.until("Frozen", [("FROZEN_VALUE", "RESOLVED")])


async def test_an_overheating_pack_is_one_alert_that_escalates(scene: Scene) -> None:
    """And is over when it has cooled down."""
    await scene.device("hot-1", STORAGE, "Hot")
    start_ms = now_ms() - MINUTE_MS
    for place, celsius in enumerate((30.0, 46.0, 51.0, 56.0, 52.0, 57.0)):
        storage = StorageMeasurement(temperature_celsius=celsius)
        await scene.send([reading("hot-1", start_ms + place * SECOND_MS, storage=storage)])
    (alert,) = await scene.until("Hot", [("OVER_TEMPERATURE", "RAISED")])
    assert alert.severity == alert_pb2.ALERT_SEVERITY_CRITICAL

    await scene.send([reading("hot-1", now_ms() - SECOND_MS, storage=StorageMeasurement(temperature_celsius=30.0))])
    (alert,) = await scene.until("Hot", [("OVER_TEMPERATURE", "RESOLVED")])
    assert alert.occurrence_count == 1


async def test_a_pack_outside_of_its_band_is_told_once_where_a_rule_says_so(scene: Scene) -> None:
    """However long it stays there, and is over when it is back."""
    await scene.rule("bands", "CHARGE_OUT_OF_BAND", "Banded", low_percent=10.0, hold_seconds=1)
    await scene.device("banded-1", STORAGE, "Banded")
    start_ms = now_ms() - MINUTE_MS
    for place, percent in enumerate((50.0, 9.0, 8.0, 10.5, 7.0)):
        storage = StorageMeasurement(state_of_charge_percent=percent)
        await scene.send([reading("banded-1", start_ms + place * SECOND_MS, storage=storage)])
    await scene.until("Banded", [("CHARGE_OUT_OF_BAND", "RAISED")])

    storage = StorageMeasurement(state_of_charge_percent=40.0)
    await scene.send([reading("banded-1", now_ms() - SECOND_MS, storage=storage)])
    (alert,) = await scene.until("Banded", [("CHARGE_OUT_OF_BAND", "RESOLVED")])
    assert alert.occurrence_count == 1


async def test_a_vehicle_that_is_plugged_in_and_does_not_charge_is_told_once(scene: Scene) -> None:
    """And is over when its charge rises."""
    await scene.rule("stalls", "CHARGE_STALLED", "Stalled", stalled_minutes=1.0, hold_seconds=1)
    await scene.device("stalled-1", VEHICLE, "Stalled")
    start_ms = now_ms() - 2 * MINUTE_MS
    for place, percent in enumerate((11.0, 11.2, 11.0, 11.4)):
        vehicle = VehicleMeasurement(charging_state=CHARGING_STATE_CHARGING, state_of_charge_percent=percent)
        await scene.send([reading("stalled-1", start_ms + place * MINUTE_MS // 2, vehicle=vehicle)])
    await scene.until("Stalled", [("CHARGE_STALLED", "RAISED")])

    vehicle = VehicleMeasurement(charging_state=CHARGING_STATE_CHARGING, state_of_charge_percent=13.0)
    await scene.send([reading("stalled-1", now_ms() - SECOND_MS, vehicle=vehicle)])
    (alert,) = await scene.until("Stalled", [("CHARGE_STALLED", "RESOLVED")])
    assert alert.occurrence_count == 1


async def test_a_voltage_that_flaps_is_one_alert_that_counts(scene: Scene) -> None:
    """Not one for each time."""
    await scene.device("flapping-1", METER, "Flapping")
    start_ms = now_ms() - MINUTE_MS
    for turn in range(10):
        for place, voltage_v in enumerate((200.0, 230.0)):
            at_ms = start_ms + (2 * turn + place) * SECOND_MS
            await scene.send([reading("flapping-1", at_ms, **meter(voltage_v=voltage_v))])
        if turn == 0:
            await scene.until("Flapping", [("VOLTAGE_OUT_OF_BAND", "RAISED")])
    (alert,) = await scene.until("Flapping", [("VOLTAGE_OUT_OF_BAND", "RESOLVED")])

    assert alert.occurrence_count > 1


async def test_a_leaking_charger_is_told(scene: Scene) -> None:
    """Of ten kilowatt-hours only seven arrive."""
    await scene.device("leaking-car", VEHICLE, "Leaking")
    await scene.device("leaking-charger", METER, "Leaking")
    start_ms = now_ms() - 2 * HOUR_MS
    for at_ms in range(start_ms, start_ms + HOUR_MS, MINUTE_MS):
        await scene.send(
            [
                reading("leaking-charger", at_ms, length_ms=MINUTE_MS, **meter(import_kwh=0.2)),
                reading(
                    "leaking-car", at_ms, length_ms=MINUTE_MS, vehicle=VehicleMeasurement(energy_delivered_kwh=0.14)
                ),
            ]
        )
    await scene.client.stored(["leaking-charger", "leaking-car"], start_ms, now_ms(), 120)
    charging = VehicleMeasurement(charging_state=CHARGING_STATE_CHARGING, power_kw=11.0)
    await scene.send([reading("leaking-car", now_ms() - SECOND_MS, vehicle=charging)])
    # Not before: what is looked at while it comes in is not the whole of it.
    link = LinkVehicleRequest(vehicle_id="leaking-car", meter_id="leaking-charger", start_time=from_ms(start_ms))
    await scene.client.registry.LinkVehicle(link, timeout=CALL_SECONDS)

    (alert,) = await scene.until("Leaking", [("EFFICIENCY_LOW", "RAISED")])
    assert (alert.device_id, round(alert.measured, 6), alert.expected) == ("leaking-car", 70.0, 85.0)


async def test_an_overloaded_region_is_one_alert_until_it_recovers(scene: Scene) -> None:
    """By its closed windows, and by a later version of one of them."""
    end_ms = (now_ms() - 2 * MINUTE_MS) // WINDOW_MS * WINDOW_MS
    capacity = SetRegionCapacityRequest(
        region="Overload", capacity_kw=10.0, start_time=from_ms(end_ms - 3 * HOUR_MS), actor="test"
    )
    await scene.client.analytics.SetRegionCapacity(capacity, timeout=CALL_SECONDS)
    await scene.device("overload-1", METER, "Overload")

    def windows(count: int, kwh_a_minute: float, revision: int) -> Iterable[Reading]:
        for at_ms in range(end_ms - count * WINDOW_MS, end_ms, MINUTE_MS):
            yield reading("overload-1", at_ms, length_ms=MINUTE_MS, revision=revision, **meter(import_kwh=kwh_a_minute))

    await scene.send(windows(2, 9.5 / 60, 0))
    (alert,) = await scene.until("Overload", [("REGION_OVERLOAD", "RAISED")])
    assert (alert.device_id, round(alert.measured, 2)) == ("", 95.0)

    await scene.send(windows(1, 5 / 60, 1))
    await scene.until("Overload", [("REGION_OVERLOAD", "RESOLVED")])


async def test_a_region_that_goes_silent_is_one_alert_until_it_is_heard(scene: Scene) -> None:
    """And not one for each of its five meters."""
    await scene.rule("outage", "DEVICE_SILENT", "Outage", minimum_seconds=2, hold_seconds=1)
    names = [f"outage-{number}" for number in range(5)]
    for name in names:
        await scene.device(name, METER, "Outage")

    async def hear(until: Callable[[], bool]) -> None:
        while not until():
            await scene.send(reading(name, now_ms() - SECOND_MS, **meter(import_kwh=0.01)) for name in names)
            await asyncio.sleep(0.2)

    heard_until_ms = now_ms() + 8 * SECOND_MS
    await hear(lambda: now_ms() >= heard_until_ms)
    assert await scene.of("Outage") == []
    (alert,) = await scene.until("Outage", [("REGION_SILENT", "RAISED")])
    assert (alert.measured, alert.severity) == (5.0, alert_pb2.ALERT_SEVERITY_CRITICAL)

    again = asyncio.ensure_future(hear(lambda: False))
    try:
        await scene.until("Outage", [("REGION_SILENT", "RESOLVED")])
    finally:
        again.cancel()
