"""Where people say what they want to be told of, and see what they were; it only translates."""

# ruff: noqa: N802, ARG002 - methods are named as in the contract, and each gets a context

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from energy.analytics.v1 import notification_service_pb2 as pb
from energy.analytics.v1.notification_service_pb2_grpc import NotificationServiceServicer

from analytics.notifications.codec import delivery_message, notification_message, preferences_message
from analytics.notifications.delivery_store import DeliveryStore
from analytics.notifications.notification_store import NotificationStore
from analytics.notifications.planning import plan_test
from analytics.notifications.preferences import Preferences
from analytics.notifications.preferences_store import PreferencesStore
from analytics.notifications.request import preferences_of, recipient_of, states_of
from common.errors import PageTokenInvalid, RecipientNotFound, RecipientUnreachable
from common.paging import decode_token, encode_token, page_size
from common.rpc_guard import Context

_PAGE_DEFAULT, _PAGE_MAXIMUM = 100, 1000


@dataclass(frozen=True, slots=True)
class NotificationStores:
    """What is known of notifications."""

    preferences: PreferencesStore
    notifications: NotificationStore
    deliveries: DeliveryStore


class NotificationService(NotificationServiceServicer):
    """Serves `energy.analytics.v1.NotificationService`; `planned` is called when there is something to send."""

    def __init__(self, stores: NotificationStores, *, planned: Callable[[], None], now_ms: Callable[[], int]) -> None:
        self._stores = stores
        self._planned = planned
        self._now_ms = now_ms

    async def GetPreferences(self, request: pb.GetPreferencesRequest, context: Context) -> pb.GetPreferencesResponse:
        """Gets preferences."""
        return pb.GetPreferencesResponse(
            preferences=preferences_message(await self._preferences(recipient_of(request)))
        )

    async def UpdatePreferences(
        self, request: pb.UpdatePreferencesRequest, context: Context
    ) -> pb.UpdatePreferencesResponse:
        """Sets preferences."""
        before = await self._stores.preferences.find(request.preferences.recipient_id)
        preferences = preferences_of(request.preferences, before, self._now_ms())
        await self._stores.preferences.put(preferences)
        return pb.UpdatePreferencesResponse(preferences=preferences_message(preferences))

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        """Lists notifications."""
        recipient_id = recipient_of(request)
        filters = {"of": "ListNotifications", "recipient": recipient_id, "unread": request.unread_only}
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        after = _after(decode_token(request.page_token, filters))
        store = self._stores.notifications
        found = await store.list(recipient_id, after, size + 1, is_unread_only=request.unread_only)
        page = found[:size]
        token = ""
        if len(found) > size:
            token = encode_token({"time": page[-1].create_ms, "id": page[-1].notification_id}, filters)
        return pb.ListNotificationsResponse(
            notifications=map(notification_message, page),
            next_page_token=token,
            unread_count=await store.unread_count(recipient_id),
        )

    async def MarkRead(self, request: pb.MarkReadRequest, context: Context) -> pb.MarkReadResponse:
        """Marks notifications as read."""
        recipient_id = recipient_of(request)
        ids = None if request.all else request.notification_ids
        store = self._stores.notifications
        return pb.MarkReadResponse(
            marked_count=await store.mark_read(recipient_id, ids, self._now_ms()),
            unread_count=await store.unread_count(recipient_id),
        )

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Context) -> pb.ListDeliveriesResponse:
        """Lists deliveries."""
        states = states_of(request)
        filters = {"of": "ListDeliveries", "scope": [request.recipient_id, request.alert_id], "states": sorted(states)}
        size = page_size(request.page_size, default=_PAGE_DEFAULT, maximum=_PAGE_MAXIMUM)
        after = _after(decode_token(request.page_token, filters))
        found = await self._stores.deliveries.list(request.recipient_id, request.alert_id, states, after, size + 1)
        page = found[:size]
        token = ""
        if len(found) > size:
            token = encode_token({"time": page[-1].create_ms, "id": page[-1].delivery_id}, filters)
        return pb.ListDeliveriesResponse(deliveries=map(delivery_message, page), next_page_token=token)

    async def SendTest(self, request: pb.SendTestRequest, context: Context) -> pb.SendTestResponse:
        """Sends a test."""
        preferences = await self._preferences(recipient_of(request))
        routes = [route for route in preferences.routes if route.is_enabled]
        if not routes:
            raise RecipientUnreachable(preferences.recipient_id)
        planned = plan_test(request.test_id, preferences, routes, self._now_ms())
        await self._stores.notifications.add(planned.notifications)
        await self._stores.deliveries.add(planned.deliveries)
        self._planned()
        kept = await self._stores.deliveries.of_notification(planned.notifications[0].notification_id)
        return pb.SendTestResponse(deliveries=map(delivery_message, kept))

    async def _preferences(self, recipient_id: str) -> Preferences:
        found = await self._stores.preferences.find(recipient_id)
        if found is None:
            raise RecipientNotFound(recipient_id)
        return found


def _after(key: Mapping[str, Any] | None) -> tuple[int, str] | None:
    """The instant and id of the last one of the page before."""
    if key is None:
        return None
    time_ms, last_id = key.get("time"), key.get("id")
    if not isinstance(time_ms, int) or not isinstance(last_id, str):
        raise PageTokenInvalid
    return time_ms, last_id
