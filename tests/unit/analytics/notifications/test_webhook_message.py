"""What a webhook gets, and how it is signed."""

from __future__ import annotations

import json

import pytest

from analytics.alerts.alert import Severity
from analytics.notifications.webhook_message import secret_bytes, webhook_body, webhook_headers
from tests.unit.analytics.notifications.notices import HOOK, SECRET, a_delivery, an_alert


def test_a_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification's libraries: secret, id, time and body to a known signature."""
    secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = webhook_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', secret, 1614265330)

    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_body_tells_the_alert_as_the_contract_spells_it() -> None:
    """The same bytes each time."""
    delivery = a_delivery(HOOK, an_alert(Severity.HIGH))

    body = webhook_body(delivery)

    assert body == webhook_body(delivery)
    told = json.loads(body)
    assert told["type"] == "alert.raised"
    assert told["timestamp"] == "2025-06-15T15:06:40.000Z"
    assert told["data"]["recipientId"] == "jo"
    assert told["data"]["alert"]["alertId"] == "a-1"
    assert told["data"]["alert"]["severity"] == "ALERT_SEVERITY_HIGH"
    assert told["data"]["alert"]["measured"] == 46.5


@pytest.mark.parametrize(
    "text", ["", "c2VjcmV0", "whsec_", "whsec_???", "whsec_c2hvcnQ=", "whsec_" + "QUFB" * 22, SECRET.replace("c", "ä")]
)
def test_a_secret_that_is_none_is_refused(text: str) -> None:
    """Too short ones among them."""
    with pytest.raises(ValueError, match="must be"):
        secret_bytes(text)


def test_a_secret_is_the_bytes_that_it_spells() -> None:
    """24 to 64 of them."""
    assert secret_bytes(SECRET) == b"secret" * 6
