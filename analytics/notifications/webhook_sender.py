"""Calls webhooks: signed, never into networks that are not allowed, and never on to where an answer points."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import suppress

import aiohttp
from yarl import URL

from analytics.notifications.allowed_networks import Network, is_allowed
from analytics.notifications.http_post import post
from analytics.notifications.notification import Delivery, Outcome
from analytics.notifications.preferences import Route
from analytics.notifications.sender import Answer, HandOver
from analytics.notifications.webhook_message import secret_bytes, webhook_body, webhook_headers


class WebhookSender:
    """Calls webhooks; a receiver knows what comes twice by `webhook-id`."""

    is_repeatable = True

    def __init__(
        self, session: aiohttp.ClientSession, allowed: Sequence[Network], *, now_ms: Callable[[], int]
    ) -> None:
        self._session = session
        self._allowed = allowed
        self._now_ms = now_ms

    async def send(self, delivery: Delivery, route: Route, hand_over: HandOver) -> Answer:
        """Posts the delivery to the URL of the route."""
        url = URL(route.address)
        if not self._may_go_to(url):
            return Answer(Outcome.FORBIDDEN)
        body = webhook_body(delivery)
        secret = secret_bytes(route.signing_secret)
        headers = webhook_headers(delivery.delivery_id, body, secret, self._now_ms() // 1000)
        await hand_over()
        return await post(self._session, url, body, headers)

    def _may_go_to(self, url: URL) -> bool:
        # A literal address is resolved by nobody.
        with suppress(ValueError):
            return is_allowed(str(ipaddress.ip_address(url.host or "")), self._allowed)
        return True
