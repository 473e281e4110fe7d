"""What is refused of what people want to be told of."""

from __future__ import annotations

from typing import Any

import pytest
from energy.analytics.v1 import alert_pb2, notification_pb2
from energy.analytics.v1 import notification_service_pb2 as pb

from analytics.alerts.alert import AlertType, Severity
from analytics.notifications.codec import hidden_address, preferences_message
from analytics.notifications.documents import preferences_from_document, preferences_to_document
from analytics.notifications.preferences import Channel, Preferences, Route
from analytics.notifications.quiet_hours import QuietHours
from analytics.notifications.request import preferences_of, recipient_of, states_of
from common.errors import InvalidArgument
from tests.unit.analytics.notifications.notices import HOOK, SECRET, START_MS, preferences

EMAIL = {"channel": "NOTIFICATION_CHANNEL_EMAIL", "address": "jo@example.org"}
WEBHOOK = {"channel": "NOTIFICATION_CHANNEL_WEBHOOK", "address": HOOK.address, "signing_secret": SECRET}
SMS = {"channel": "NOTIFICATION_CHANNEL_SMS", "address": "+4915112345678"}


def asked(before: Preferences | None = None, **fields: Any) -> Preferences:
    """What becomes of a request."""
    message = notification_pb2.NotificationPreferences(**{"recipient_id": "jo", "actor": "jo"} | fields)
    return preferences_of(message, before, START_MS)


def refused_fields(before: Preferences | None = None, **fields: Any) -> list[str]:
    """The fields that a refusal names, without the prefix."""
    with pytest.raises(InvalidArgument) as refusal:
        asked(before, **fields)
    return [violation.field.removeprefix("preferences.") for violation in refusal.value.violations]


def test_preferences_are_taken_as_they_are_said() -> None:
    """And told again without the secret."""
    set_so = asked(
        all=True,
        regions=["North", "North"],
        account_ids=["acc-1"],
        muted_types=[alert_pb2.ALERT_TYPE_POWER_DROP],
        routes=[EMAIL | {"minimum_severity": alert_pb2.ALERT_SEVERITY_HIGH}, WEBHOOK, SMS | {"disabled": True}],
        tell_when_over=True,
        time_zone="Asia/Kolkata",
        escalation_level=2,
        quiet_hours={"start_minute": 1320, "end_minute": 420},
    )

    assert set_so == Preferences(
        recipient_id="jo",
        is_concerned_by_all=True,
        regions=("North",),
        account_ids=("acc-1",),
        muted_types=frozenset({AlertType.POWER_DROP}),
        routes=(
            Route(Channel.EMAIL, "jo@example.org", Severity.HIGH),
            Route(Channel.WEBHOOK, HOOK.address, signing_secret=SECRET),
            Route(Channel.SMS, "+4915112345678", is_enabled=False),
        ),
        is_told_when_over=True,
        time_zone="Asia/Kolkata",
        actor="jo",
        update_ms=START_MS,
        escalation_level=2,
        quiet_hours=QuietHours(1320, 420),
    )
    assert preferences_from_document(preferences_to_document(set_so)) == set_so
    told = preferences_message(set_so)
    assert SECRET not in str(told)
    assert (told.escalation_level, told.quiet_hours.start_minute, told.quiet_hours.end_minute) == (2, 1320, 420)
    assert [route.address for route in told.routes] == ["jo@example.org", HOOK.address, "+4915112345678"]


def test_preferences_of_an_earlier_release_are_told_at_once_at_any_hour() -> None:
    """It wrote neither levels nor quiet hours."""
    document = preferences_to_document(preferences())
    del document["escalation_level"], document["quiet_hours"]

    assert preferences_from_document(document) == preferences()


@pytest.mark.parametrize("level", [-1, 10])
def test_there_are_nine_levels_besides_those_who_are_told_at_once(level: int) -> None:
    """Others are refused."""
    assert refused_fields(escalation_level=level) == ["escalation_level"]


def test_quiet_hours_are_minutes_of_a_day() -> None:
    """Each of them is named."""
    assert refused_fields(quiet_hours={"start_minute": -1, "end_minute": 1440}) == [
        "quiet_hours.start_minute",
        "quiet_hours.end_minute",
    ]


def test_a_webhook_keeps_its_secret() -> None:
    """As long as its address stays."""
    before = preferences(HOOK)
    unsaid = {name: value for name, value in WEBHOOK.items() if name != "signing_secret"}

    assert asked(before, routes=[unsaid]).routes[0].signing_secret == SECRET
    assert refused_fields(before, routes=[unsaid | {"address": "https://example.org/other"}]) == [
        "routes[0].signing_secret"
    ]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"recipient_id": ""}, "recipient_id"),
        ({"recipient_id": "x" * 129}, "recipient_id"),
        ({"actor": ""}, "actor"),
        ({"regions": [""]}, "regions[0]"),
        ({"regions": ["x"] * 101}, "regions"),
        ({"account_ids": ["a", "y" * 129]}, "account_ids[1]"),
        ({"muted_types": [99]}, "muted_types[0]"),
        ({"muted_types": [0]}, "muted_types[0]"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"routes": [EMAIL] * 11}, "routes"),
        ({"routes": [EMAIL | {"channel": 0}]}, "routes[0].channel"),
        ({"routes": [EMAIL | {"channel": 9}]}, "routes[0].channel"),
        ({"routes": [EMAIL | {"minimum_severity": 9}]}, "routes[0].minimum_severity"),
        ({"routes": [EMAIL, EMAIL]}, "routes[1].address"),
        ({"routes": [EMAIL | {"signing_secret": SECRET}]}, "routes[0].signing_secret"),
        ({"routes": [WEBHOOK | {"signing_secret": "whsec_"}]}, "routes[0].signing_secret"),
    ],
)
def test_what_breaks_a_rule_is_named(fields: dict[str, Any], named: str) -> None:
    """Before anything is written."""
    assert named in refused_fields(**fields)


@pytest.mark.parametrize(
    "address",
    ["", "jo", "jo@", "@example.org", "jo@localhost", "a b@example.org", "jo@example.org, sam@example.org",
     "Jo <jo@example.org>", "jo@example.org\r\nBcc: sam@example.org", "jo@example.org\x00", "j" * 250 + "@a.de"],
)  # fmt: skip
def test_what_is_no_mail_address_is_refused(address: str) -> None:
    """Two of them, and headers in disguise, among it."""
    assert refused_fields(routes=[EMAIL | {"address": address}]) == ["routes[0].address"]


@pytest.mark.parametrize(
    "address",
    ["", "http://example.org/", "https://", "https:///x", "ftp://example.org", "https://user:pw@example.org/",
     "https://example.org/#x", "https://exa mple.org/", "https://[::1", "file:///etc/passwd",
     "https://a/" + "x" * 2048],
)  # fmt: skip
def test_what_is_no_plain_https_url_is_refused(address: str) -> None:
    """Nothing is sent in the clear, and no password stands in an address."""
    assert refused_fields(routes=[WEBHOOK | {"address": address}]) == ["routes[0].address"]


@pytest.mark.parametrize("address", ["", "015112345678", "+0151", "+49 151 12345678", "+1234567890123456", "+49x"])
def test_what_is_no_phone_number_is_refused(address: str) -> None:
    """E.164 only."""
    assert refused_fields(routes=[SMS | {"address": address}]) == ["routes[0].address"]


def test_marking_as_read_names_notifications_or_all() -> None:
    """Not both, and not nothing."""
    for fields in ({}, {"all": True, "notification_ids": ["n-1"]}, {"notification_ids": ["n"] * 1001}):
        with pytest.raises(InvalidArgument) as refusal:
            recipient_of(pb.MarkReadRequest(recipient_id="jo", **fields))
        assert [violation.field for violation in refusal.value.violations] == ["notification_ids"]


def test_a_state_that_is_none_is_refused() -> None:
    """By its place."""
    with pytest.raises(InvalidArgument) as refusal:
        states_of(
            pb.ListDeliveriesRequest(
                states=[
                    notification_pb2.NOTIFICATION_DELIVERY_STATE_SENT,
                    notification_pb2.NOTIFICATION_DELIVERY_STATE_UNSPECIFIED,
                ]
            )
        )
    assert [violation.field for violation in refusal.value.violations] == ["states[1]"]


def test_an_address_is_told_so_that_only_its_owner_knows_it() -> None:
    """Mails, webhooks (whose paths are often secret) and numbers."""
    assert hidden_address(Channel.EMAIL, "jo@example.org") == "j***@example.org"
    assert hidden_address(Channel.WEBHOOK, "https://example.org/token/abc") == "https://example.org/***"
    assert hidden_address(Channel.SMS, "+4915112345678") == "+49***678"
