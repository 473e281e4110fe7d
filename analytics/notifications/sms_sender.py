"""Sends text messages by a provider, over HTTP: JSON with `to`, `text` and `id`, and the id as `idempotency-key`.

Most providers want other names; a small translator in front of one, or another sender beside this, gives them.
"""

from __future__ import annotations

import json

import aiohttp
from yarl import URL

from analytics.notifications.http_post import post
from analytics.notifications.notification import Delivery
from analytics.notifications.preferences import Route
from analytics.notifications.sender import Answer, HandOver


class SmsSender:
    """Sends text messages; the provider knows what comes twice by the idempotency key."""

    is_repeatable = True

    def __init__(self, session: aiohttp.ClientSession, provider_url: str, token: str) -> None:
        self._session = session
        self._url = URL(provider_url)
        self._token = token

    async def send(self, delivery: Delivery, route: Route, hand_over: HandOver) -> Answer:
        """Has the title sent to the number of the route."""
        content = {"to": route.address, "text": delivery.wording.title, "id": delivery.delivery_id}
        headers = {"content-type": "application/json", "idempotency-key": delivery.delivery_id}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        await hand_over()
        return await post(self._session, self._url, json.dumps(content).encode(), headers)
