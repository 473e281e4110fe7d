"""A device may be registered if it breaks no rule; every rule that it breaks is told at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from energy.registry.v1 import device_pb2
from google.protobuf.duration_pb2 import Duration

from gateway.device import DeviceKind, broken_rules
from gateway.device_document import device_from_document, device_to_document
from gateway.device_message import device_from_message, device_to_message
from gateway.vehicle_link import VehicleLink
from tests.unit.gateway.readings import device


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device_id", "A-Za-z0-9._:-"),
        ("device_id", "x" * 128),
        ("account_id", "x" * 128),
        ("account_id", "Müller, पुणे & Söhne (=1)"),
        ("site_id", ""),
        ("site_id", "x" * 128),
        ("region", "x" * 64),
        ("time_zone", "UTC"),
        ("time_zone", "America/Argentina/Buenos_Aires"),
        ("group_ids", ("g",) * 32),
        ("expected_interval_ms", 1),
        ("expected_interval_ms", 31 * 86_400_000),
        ("connection_kw", None),
        ("connection_kw", 1e-9),
        ("connection_kw", 1e6),
        ("register_digits", 0),
        ("register_digits", 12),
        ("state", 3),
    ],
)
def test_a_device_may_have_a_value_at_the_limit(field: str, value: Any) -> None:
    """Both ends of every documented range belong to it."""
    assert broken_rules(replace(device(), **{field: value})) == []


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("device_id", "", "FIELD_REQUIRED"),
        ("device_id", "x" * 129, "INVALID_FORMAT"),
        ("device_id", "a b", "INVALID_FORMAT"),
        ("device_id", "a\n", "INVALID_FORMAT"),
        ("device_id", "zähler", "INVALID_FORMAT"),
        ("kind", 0, "FIELD_REQUIRED"),
        ("kind", 4, "OUT_OF_RANGE"),
        ("account_id", "", "FIELD_REQUIRED"),
        ("account_id", "x" * 129, "OUT_OF_RANGE"),
        ("site_id", "x" * 129, "OUT_OF_RANGE"),
        ("account_id", "acc\n1", "INVALID_FORMAT"),
        ("account_id", "\x1b[31macc", "INVALID_FORMAT"),
        ("site_id", "site\x00", "INVALID_FORMAT"),
        ("site_id", "\u202esite", "INVALID_FORMAT"),
        ("region", "Pune\tEast", "INVALID_FORMAT"),
        ("region", "", "FIELD_REQUIRED"),
        ("region", "x" * 65, "OUT_OF_RANGE"),
        ("time_zone", "", "FIELD_REQUIRED"),
        ("time_zone", "Mars/Olympus", "INVALID_FORMAT"),
        ("time_zone", "Asia", "INVALID_FORMAT"),
        ("time_zone", "../etc/passwd", "INVALID_FORMAT"),
        ("time_zone", "right/UTC", "INVALID_FORMAT"),
        ("time_zone", "localtime", "INVALID_FORMAT"),
        ("group_ids", ("g",) * 33, "OUT_OF_RANGE"),
        ("expected_interval_ms", 0, "OUT_OF_RANGE"),
        ("expected_interval_ms", 31 * 86_400_000 + 1, "OUT_OF_RANGE"),
        ("connection_kw", 0.0, "OUT_OF_RANGE"),
        ("connection_kw", 1_000_000.1, "OUT_OF_RANGE"),
        ("connection_kw", math.nan, "OUT_OF_RANGE"),
        ("connection_kw", math.inf, "OUT_OF_RANGE"),
        ("register_digits", -1, "OUT_OF_RANGE"),
        ("register_digits", 13, "OUT_OF_RANGE"),
        ("state", 4, "OUT_OF_RANGE"),
    ],
)
def test_a_value_beyond_its_limit_is_refused_by_name(field: str, value: Any, reason: str) -> None:
    """The violation names the field of the contract and the reason."""
    violations = broken_rules(replace(device(), **{field: value}))

    assert [(violation.field, violation.reason) for violation in violations] == [(field.removesuffix("_ms"), reason)]


def test_a_group_at_fault_is_named_by_its_position() -> None:
    """Of many groups only the broken ones are told."""
    violations = broken_rules(replace(device(), group_ids=("good", "", "x" * 129)))

    assert [violation.field for violation in violations] == ["group_ids[1]", "group_ids[2]"]


def test_every_broken_rule_of_a_message_is_told_at_once() -> None:
    """Rules of form and rules of range come together."""
    message = device_pb2.Device(kind=device_pb2.DEVICE_KIND_METER, expected_interval=Duration(nanos=1))

    _, violations = device_from_message(message)

    assert {violation.field for violation in violations} == {
        "device_id",
        "account_id",
        "region",
        "time_zone",
        "expected_interval",
    }


def test_a_message_that_says_nothing_more_gets_the_defaults() -> None:
    """One minute and ACTIVE."""
    message = device_pb2.Device(
        device_id="m", kind=device_pb2.DEVICE_KIND_METER, account_id="a", region="r", time_zone="UTC"
    )

    found, violations = device_from_message(message)

    assert violations == []
    assert (found.expected_interval_ms, found.state, found.connection_kw) == (60_000, 1, None)


def test_a_device_survives_its_document_and_its_message() -> None:
    """Nothing is lost on the way to the store and back, nor on the way to a caller."""
    link = VehicleLink("vehicle-1", "meter-1", 1_700_000_000_001, 1_800_000_000_000)
    full = replace(
        device(),
        site_id="site-1",
        group_ids=("g1", "g2"),
        expected_interval_ms=900_001,
        connection_kw=11.04,
        register_digits=6,
        state=2,
        links=(link, VehicleLink("vehicle-2", "meter-1", 1_800_000_000_000)),
        create_time_ms=1_700_000_000_123,
        update_time_ms=1_700_000_000_456,
        version=7,
    )

    from_store = device_from_document(device_to_document(full))
    from_message, violations = device_from_message(device_to_message(full))

    assert from_store == full
    assert violations == []
    assert from_message.has_content_of(full)


def test_the_content_of_a_device_is_what_its_operator_chose() -> None:
    """Links, times and version may differ where the content is the same; any other field may not."""
    one = replace(device(), connection_kw=5.0)

    later = replace(one, links=(VehicleLink("v", "meter-1", 0),), create_time_ms=1, update_time_ms=2, version=3)

    assert one.has_content_of(later)
    assert not one.has_content_of(replace(one, connection_kw=None))
    assert not one.has_content_of(replace(one, kind=DeviceKind.STORAGE))
