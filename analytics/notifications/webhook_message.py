"""What a webhook gets, and how it is signed: the conventions of Standard Webhooks 1.0.

Source: the specification of Standard Webhooks (standardwebhooks.com): headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`; the signature is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from analytics.alerts.alert_codec import alert_message
from analytics.notifications.notification import Delivery, NotificationKind
from common.instants import rfc3339

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of secrets, not one
SECRET_BYTES_MINIMUM, SECRET_BYTES_MAXIMUM = 24, 64

_TYPES: Mapping[NotificationKind, str] = {
    NotificationKind.ALERT_RAISED: "alert.raised",
    NotificationKind.ALERT_OVER: "alert.over",
    NotificationKind.TEST: "test",
}


def webhook_body(delivery: Delivery) -> bytes:
    """The body: JSON, the same each time; the alert as the contract's JSON has it."""
    wording = delivery.wording
    data: dict[str, Any] = {"title": wording.title, "text": wording.text, "recipientId": delivery.recipient_id}
    if wording.alert is not None:
        data["alert"] = MessageToDict(alert_message(wording.alert))
    content = {"type": _TYPES[wording.kind], "timestamp": rfc3339(delivery.create_ms), "data": data}
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def webhook_headers(delivery_id: str, body: bytes, secret: bytes, now_s: int) -> dict[str, str]:
    """The headers of a body that is sent at `now_s`, seconds since 1970."""
    signed = f"{delivery_id}.{now_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{signature}",
    }


def secret_bytes(text: str) -> bytes:
    """The secret that a text spells.

    Raises:
        ValueError: it is none, or too short or long.
    """
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"must begin with {SECRET_PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"must be base64 after {SECRET_PREFIX}") from None
    if not SECRET_BYTES_MINIMUM <= len(secret) <= SECRET_BYTES_MAXIMUM:
        raise ValueError(f"must be {SECRET_BYTES_MINIMUM} to {SECRET_BYTES_MAXIMUM} bytes")
    return secret
