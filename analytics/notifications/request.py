"""Checks what people ask of notifications: every broken rule is named with its field, before anything is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address

from energy.analytics.v1 import notification_pb2
from energy.analytics.v1 import notification_service_pb2 as pb
from energy.analytics.v1.notification_pb2 import NotificationChannel, NotificationDeliveryState
from yarl import URL

from analytics.alerts.alert import Severity
from analytics.alerts.alert_request import ID_LENGTH_MAXIMUM, TYPES_BY_NUMBER
from analytics.fleet.request_checks import ACTOR_LENGTH_MAXIMUM, REGION_LENGTH_MAXIMUM, refuse, text_violations
from analytics.notifications.escalation import LEVEL_MAXIMUM
from analytics.notifications.notification import DeliveryState
from analytics.notifications.preferences import Channel, Preferences, Route
from analytics.notifications.quiet_hours import DAY_MINUTES, QuietHours
from analytics.notifications.webhook_message import secret_bytes
from common.errors import FieldViolation
from common.local_time import is_zone

LIST_MAXIMUM = 100
ROUTES_MAXIMUM = 10
IDS_MAXIMUM = 1000
TEST_ID_LENGTH_MAXIMUM = 64
_ADDRESS_LENGTH_MAXIMUM = 254
_URL_LENGTH_MAXIMUM = 2048

# E.164: a plus, a country code that does not begin with 0, 15 digits at most.
_PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")

CHANNELS_BY_NUMBER: Mapping[int, Channel] = {
    number: Channel(name.removeprefix("NOTIFICATION_CHANNEL_"))
    for name, number in NotificationChannel.items()
    if number
}
_STATES_BY_NUMBER: Mapping[int, DeliveryState] = {
    number: DeliveryState(name.removeprefix("NOTIFICATION_DELIVERY_STATE_"))
    for name, number in NotificationDeliveryState.items()
    if number
}


def recipient_of(
    request: pb.GetPreferencesRequest | pb.ListNotificationsRequest | pb.MarkReadRequest | pb.SendTestRequest,
) -> str:
    """The recipient that a request is about.

    Raises:
        InvalidArgument: it is absent or too long, or what a test or MarkRead needs besides is.
    """
    violations = text_violations("recipient_id", request.recipient_id, ID_LENGTH_MAXIMUM)
    if isinstance(request, pb.SendTestRequest):
        violations += text_violations("test_id", request.test_id, TEST_ID_LENGTH_MAXIMUM)
    if isinstance(request, pb.MarkReadRequest):
        if request.all and request.notification_ids:
            violations.append(FieldViolation("notification_ids", "OUT_OF_RANGE", "must be empty with `all`"))
        elif not request.all and not 1 <= len(request.notification_ids) <= IDS_MAXIMUM:
            violations.append(FieldViolation("notification_ids", "OUT_OF_RANGE", f"must be 1 to {IDS_MAXIMUM}"))
    refuse(violations)
    return request.recipient_id


def states_of(request: pb.ListDeliveriesRequest) -> frozenset[DeliveryState]:
    """The states that are asked for.

    Raises:
        InvalidArgument: one is none.
    """
    refuse(
        [
            FieldViolation(f"states[{place}]", "OUT_OF_RANGE", "must be one of the listed ones")
            for place, number in enumerate(request.states)
            if number not in _STATES_BY_NUMBER
        ]
    )
    return frozenset(_STATES_BY_NUMBER[number] for number in request.states)


def preferences_of(
    message: notification_pb2.NotificationPreferences, before: Preferences | None, now_ms: int
) -> Preferences:
    """The preferences that are to be set, in place of those before; a secret that is left out is that of before.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    prefix = "preferences"
    violations = text_violations(f"{prefix}.recipient_id", message.recipient_id, ID_LENGTH_MAXIMUM)
    for field, texts, length in (
        ("regions", message.regions, REGION_LENGTH_MAXIMUM),
        ("account_ids", message.account_ids, ID_LENGTH_MAXIMUM),
    ):
        if len(texts) > LIST_MAXIMUM:
            violations.append(FieldViolation(f"{prefix}.{field}", "OUT_OF_RANGE", f"must be at most {LIST_MAXIMUM}"))
        for place, text in enumerate(texts[:LIST_MAXIMUM]):
            violations += text_violations(f"{prefix}.{field}[{place}]", text, length)
    violations += [
        FieldViolation(f"{prefix}.muted_types[{place}]", "OUT_OF_RANGE", "must be one of the listed ones")
        for place, number in enumerate(message.muted_types)
        if number not in TYPES_BY_NUMBER
    ]
    if message.time_zone and not is_zone(message.time_zone):
        violations.append(FieldViolation(f"{prefix}.time_zone", "INVALID_FORMAT", "must be an IANA time zone"))
    violations += text_violations(f"{prefix}.actor", message.actor, ACTOR_LENGTH_MAXIMUM)
    if not 0 <= message.escalation_level <= LEVEL_MAXIMUM:
        must = f"must be 0 to {LEVEL_MAXIMUM}"
        violations.append(FieldViolation(f"{prefix}.escalation_level", "OUT_OF_RANGE", must))
    quiet = message.quiet_hours if message.HasField("quiet_hours") else None
    violations += [
        FieldViolation(f"{prefix}.quiet_hours.{field}", "OUT_OF_RANGE", f"must be 0 to {DAY_MINUTES - 1}")
        for field in ("start_minute", "end_minute")
        if quiet is not None and not 0 <= getattr(quiet, field) < DAY_MINUTES
    ]
    routes = _routes(message, () if before is None else before.routes, violations)
    refuse(violations)
    return Preferences(
        recipient_id=message.recipient_id,
        is_concerned_by_all=message.all,
        regions=tuple(dict.fromkeys(message.regions)),
        account_ids=tuple(dict.fromkeys(message.account_ids)),
        muted_types=frozenset(TYPES_BY_NUMBER[number] for number in message.muted_types),
        routes=tuple(routes),
        is_told_when_over=message.tell_when_over,
        time_zone=message.time_zone,
        actor=message.actor,
        update_ms=now_ms,
        escalation_level=message.escalation_level,
        quiet_hours=None if quiet is None else QuietHours(quiet.start_minute, quiet.end_minute),
    )


def _routes(
    message: notification_pb2.NotificationPreferences, before: tuple[Route, ...], violations: list[FieldViolation]
) -> list[Route]:
    if len(message.routes) > ROUTES_MAXIMUM:
        must = f"must be at most {ROUTES_MAXIMUM}"
        violations.append(FieldViolation("preferences.routes", "OUT_OF_RANGE", must))
    secrets = {route.address: route.signing_secret for route in before if route.channel is Channel.WEBHOOK}
    routes: list[Route] = []
    for place, one in enumerate(message.routes[:ROUTES_MAXIMUM]):
        field = f"preferences.routes[{place}]"
        channel = CHANNELS_BY_NUMBER.get(one.channel)
        if channel is None:
            must = "is required, and one of the listed ones"
            violations.append(FieldViolation(f"{field}.channel", "FIELD_REQUIRED", must))
            continue
        if one.minimum_severity not in {0, *map(int, Severity)}:
            must = "must be one of the listed ones"
            violations.append(FieldViolation(f"{field}.minimum_severity", "OUT_OF_RANGE", must))
            continue
        if wrong := _wrong_with_address(channel, one.address):
            violations.append(FieldViolation(f"{field}.address", "INVALID_FORMAT", wrong))
        secret = one.signing_secret or (secrets.get(one.address, "") if channel is Channel.WEBHOOK else "")
        if wrong := _wrong_with_secret(channel, secret):
            violations.append(FieldViolation(f"{field}.signing_secret", "INVALID_FORMAT", wrong))
        severity = Severity(one.minimum_severity or Severity.LOW)
        route = Route(channel, one.address, severity, not one.disabled, secret)
        if route.key in {earlier.key for earlier in routes}:
            violations.append(FieldViolation(f"{field}.address", "OUT_OF_RANGE", "must not be there twice"))
        routes.append(route)
    return routes


def _wrong_with_address(channel: Channel, address: str) -> str:
    """What is wrong with an address; empty: nothing."""
    if channel is Channel.SMS:
        return "" if _PHONE_NUMBER.fullmatch(address) else "must be a phone number such as +4915112345678"
    if channel is Channel.EMAIL:
        return "" if _is_mail_address(address) else "must be an e-mail address"
    return "" if _is_https_url(address) else "must be an https URL without user and fragment"


def _is_mail_address(address: str) -> bool:
    if len(address) > _ADDRESS_LENGTH_MAXIMUM or not address.isascii():
        return False
    try:
        parsed = Address(addr_spec=address)
    except (MessageError, ValueError, IndexError):
        return False
    return bool(parsed.username) and "." in parsed.domain and parsed.addr_spec == address


def _is_https_url(address: str) -> bool:
    if len(address) > _URL_LENGTH_MAXIMUM or any(character <= " " for character in address):
        return False
    try:
        url = URL(address)
    except ValueError:
        return False
    is_plain = url.user is None and url.password is None and not url.fragment
    return url.scheme == "https" and bool(url.host) and is_plain


def _wrong_with_secret(channel: Channel, secret: str) -> str:
    """What is wrong with a signing secret; empty: nothing."""
    if channel is not Channel.WEBHOOK:
        return "must be empty: only webhooks are signed" if secret else ""
    if not secret:
        return "is required of a webhook that is new"
    try:
        secret_bytes(secret)
    except ValueError as fault:
        return str(fault)
    return ""
