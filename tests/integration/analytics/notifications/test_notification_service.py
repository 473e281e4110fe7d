"""What people ask of notifications, over real gRPC and a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest_asyncio
from energy.analytics.v1 import notification_pb2
from energy.analytics.v1 import notification_service_pb2 as pb
from energy.analytics.v1.notification_service_pb2_grpc import (
    NotificationServiceStub,
    add_NotificationServiceServicer_to_server,
)
from prometheus_client import CollectorRegistry

from analytics.alerts.alert import AlertType, Cause
from analytics.app import NOTIFICATION_SERVICE_NAME
from analytics.config import AnalyticsConfig
from common import logs
from common.grpc_server import GrpcServer
from common.health import Health
from common.interceptors import standard_interceptors
from common.mongo import Database
from tests.integration.analytics.alert_room import Room, open_room
from tests.unit.analytics.notifications.notices import SECRET

JO: dict[str, Any] = {
    "recipient_id": "jo",
    "actor": "jo",
    "all": True,
    "routes": [
        {"channel": "NOTIFICATION_CHANNEL_EMAIL", "address": "jo@example.org"},
        {
            "channel": "NOTIFICATION_CHANNEL_WEBHOOK",
            "address": "https://example.org/hook",
            "signing_secret": SECRET,
            "minimum_severity": "ALERT_SEVERITY_CRITICAL",
        },
    ],
}


@dataclass
class Desk:
    """Where one asks."""

    room: Room
    stub: Any

    async def update(self, **changes: Any) -> pb.UpdatePreferencesResponse:
        """Sets what Jo wants."""
        message = notification_pb2.NotificationPreferences(**JO | changes)
        answer: pb.UpdatePreferencesResponse = await self.stub.UpdatePreferences(
            pb.UpdatePreferencesRequest(preferences=message)
        )
        return answer

    async def tell(self, count: int) -> None:
        """So many alerts, each a second after the one before."""
        for number in range(count):
            await self.room.see(Cause(AlertType.OVER_TEMPERATURE, "North", f"pack-{number}"))
            await self.room.alerts.notifications.planner.plan_once()
            self.room.pass_time(1000)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(database: Database) -> AsyncIterator[Desk]:
    """Nobody told of anything."""
    async with open_room(database) as room:
        await room.alerts.notifications.prepare()
        metrics = CollectorRegistry()
        server = GrpcServer(
            AnalyticsConfig(grpc_port=0, metrics_port=0),
            "analytics",
            [
                (
                    add_NotificationServiceServicer_to_server,
                    room.alerts.notifications.service,
                    NOTIFICATION_SERVICE_NAME,
                )
            ],
            standard_interceptors("analytics.energy", logs.get_logger(__name__), metrics),
            health=Health([NOTIFICATION_SERVICE_NAME], {}, metrics),
            registry=metrics,
        )
        await server.start()
        try:
            async with grpc.aio.insecure_channel(server.address) as channel:
                yield Desk(room, NotificationServiceStub(channel))
        finally:
            await server.stop(0.5)


async def test_preferences_are_kept_and_told_without_secrets(desk: Desk) -> None:
    """The last word counts, and it keeps the secret of a webhook that it does not name."""
    await desk.update()
    again = await desk.update(
        time_zone="Asia/Kolkata",
        routes=[{"channel": "NOTIFICATION_CHANNEL_WEBHOOK", "address": "https://example.org/hook"}],
    )

    found = await desk.stub.GetPreferences(pb.GetPreferencesRequest(recipient_id="jo"))
    assert found.preferences == again.preferences
    assert (found.preferences.time_zone, len(found.preferences.routes)) == ("Asia/Kolkata", 1)
    assert found.preferences.routes[0].signing_secret == ""
    kept = await desk.room.alerts.notifications.stores.preferences.find("jo")
    assert kept is not None
    assert kept.routes[0].signing_secret == SECRET


async def test_somebody_who_set_nothing_is_not_found(desk: Desk) -> None:
    """Neither their preferences, nor a way to test."""
    for call in (
        desk.stub.GetPreferences(pb.GetPreferencesRequest(recipient_id="sam")),
        desk.stub.SendTest(pb.SendTestRequest(recipient_id="sam", test_id="t-1")),
    ):
        assert await desk.room.refused(call) == ("RECIPIENT_NOT_FOUND", [])


async def test_notifications_are_listed_in_pages_and_marked_as_read(desk: Desk) -> None:
    """The newest first; one that is read stays read."""
    await desk.update()
    await desk.tell(5)
    listed: list[notification_pb2.Notification] = []
    token = ""
    for _ in range(3):
        page = await desk.stub.ListNotifications(
            pb.ListNotificationsRequest(recipient_id="jo", page_size=2, page_token=token)
        )
        listed += page.notifications
        token = page.next_page_token
    assert token == ""
    assert [one.alert.device_id for one in listed] == [f"pack-{number}" for number in range(4, -1, -1)]
    assert page.unread_count == 5

    read = pb.MarkReadRequest(recipient_id="jo", notification_ids=[listed[0].notification_id, "unknown"])
    first, again = await desk.stub.MarkRead(read), await desk.stub.MarkRead(read)
    assert (first.marked_count, first.unread_count, again.marked_count) == (1, 4, 0)
    of_another = await desk.stub.MarkRead(
        pb.MarkReadRequest(recipient_id="sam", notification_ids=[listed[1].notification_id])
    )
    assert of_another.marked_count == 0
    unread = await desk.stub.ListNotifications(pb.ListNotificationsRequest(recipient_id="jo", unread_only=True))
    assert list(unread.notifications) == listed[1:]
    everything = await desk.stub.MarkRead(pb.MarkReadRequest(recipient_id="jo", all=True))
    assert (everything.marked_count, everything.unread_count) == (4, 0)


async def test_a_token_of_other_filters_is_refused(desk: Desk) -> None:
    """As everywhere."""
    await desk.update()
    await desk.tell(2)
    page = await desk.stub.ListNotifications(pb.ListNotificationsRequest(recipient_id="jo", page_size=1))

    refused = await desk.room.refused(
        desk.stub.ListNotifications(pb.ListNotificationsRequest(recipient_id="sam", page_token=page.next_page_token))
    )

    assert refused == ("PAGE_TOKEN_INVALID", ["page_token"])


async def test_deliveries_are_listed_by_recipient_alert_and_state(desk: Desk) -> None:
    """With what is hidden of their addresses."""
    await desk.update()
    await desk.tell(3)
    everything = (await desk.stub.ListDeliveries(pb.ListDeliveriesRequest())).deliveries
    one = everything[0]

    assert len(everything) == 3
    assert {delivery.address for delivery in everything} == {"j***@example.org"}
    assert [one] == list((await desk.stub.ListDeliveries(pb.ListDeliveriesRequest(alert_id=one.alert_id))).deliveries)
    for fields, count in (
        ({"recipient_id": "jo"}, 3),
        ({"recipient_id": "sam"}, 0),
        ({"states": ["NOTIFICATION_DELIVERY_STATE_PENDING"]}, 3),
        ({"states": ["NOTIFICATION_DELIVERY_STATE_SENT"]}, 0),
    ):
        found = await desk.stub.ListDeliveries(pb.ListDeliveriesRequest(**fields))
        assert len(found.deliveries) == count
    paged = await desk.stub.ListDeliveries(pb.ListDeliveriesRequest(page_size=2))
    rest = await desk.stub.ListDeliveries(pb.ListDeliveriesRequest(page_size=2, page_token=paged.next_page_token))
    assert [*paged.deliveries, *rest.deliveries] == list(everything)


async def test_a_test_goes_by_every_route_in_use_and_once_an_id(desk: Desk) -> None:
    """Whatever their severity."""
    await desk.update()
    request = pb.SendTestRequest(recipient_id="jo", test_id="t-1")

    sent, again = await desk.stub.SendTest(request), await desk.stub.SendTest(request)

    assert {one.address for one in sent.deliveries} == {"j***@example.org", "https://example.org/***"}
    assert {one.delivery_id for one in sent.deliveries} == {one.delivery_id for one in again.deliveries}
    assert len((await desk.stub.ListDeliveries(pb.ListDeliveriesRequest())).deliveries) == 2
    (told,) = (await desk.stub.ListNotifications(pb.ListNotificationsRequest(recipient_id="jo"))).notifications
    assert told.kind == notification_pb2.NOTIFICATION_KIND_TEST


async def test_whoever_has_no_route_in_use_cannot_be_tested(desk: Desk) -> None:
    """It says so."""
    await desk.update(routes=[JO["routes"][0] | {"disabled": True}])

    refused = await desk.room.refused(desk.stub.SendTest(pb.SendTestRequest(recipient_id="jo", test_id="t-1")))

    assert refused == ("RECIPIENT_UNREACHABLE", [])


async def test_what_breaks_a_rule_is_named_and_changes_nothing(desk: Desk) -> None:
    """By its field."""
    await desk.update()

    refused = await desk.room.refused(desk.update(time_zone="Mars/Olympus", regions=[""]))

    assert refused[1] == ["preferences.regions[0]", "preferences.time_zone"]
    found = await desk.stub.GetPreferences(pb.GetPreferencesRequest(recipient_id="jo"))
    assert found.preferences.time_zone == ""
