"""What the registry knows about the device of a reading, and the rules that a device must keep."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import IntEnum
from zoneinfo import ZoneInfo

from common.mesh_error import FieldViolation
from gateway.vehicle_link import VehicleLink

INTERVAL_MINIMUM_MS = 1
INTERVAL_MAXIMUM_MS = 31 * 24 * 3600 * 1000
DEFAULT_INTERVAL_MS = 60_000

_DEVICE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Control characters, line and paragraph separators, and what turns the direction of writing.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ID_LENGTH = 128
_REGION_LENGTH = 64
_GROUPS_MAXIMUM = 32
_CONNECTION_MAXIMUM_KW = 1_000_000
_REGISTER_DIGITS_MAXIMUM = 12

# What lies among the zones of a machine without being a zone of the IANA database (`right/` counts leap seconds).
_NOT_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")


class DeviceKind(IntEnum):
    """What a device measures, numbered as in the contract."""

    METER = 1
    VEHICLE = 2
    STORAGE = 3


class DeviceState(IntEnum):
    """Where a device is in its life, numbered as in the contract."""

    ACTIVE = 1
    MAINTENANCE = 2
    DECOMMISSIONED = 3


@dataclass(frozen=True, slots=True)
class Device:
    """One device; its fields, units and ranges are those of `energy.registry.v1.Device`.

    `kind` and `state` are the numbers of the contract, which may be unknown to us until `broken_rules` has looked.
    `version` counts the changes that were stored; links, times and version are the registry's own.
    """

    device_id: str
    kind: int
    account_id: str
    region: str
    time_zone: str
    site_id: str = ""
    group_ids: tuple[str, ...] = ()
    expected_interval_ms: int = DEFAULT_INTERVAL_MS
    connection_kw: float | None = None
    register_digits: int = 0
    state: int = DeviceState.ACTIVE
    links: tuple[VehicleLink, ...] = ()
    create_time_ms: int = 0
    update_time_ms: int = 0
    version: int = 0

    def has_content_of(self, other: Device) -> bool:
        """Whether both say the same about everything that the operator chooses."""
        return self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        return (
            self.device_id,
            self.kind,
            self.account_id,
            self.region,
            self.time_zone,
            self.site_id,
            self.group_ids,
            self.expected_interval_ms,
            self.connection_kw,
            self.register_digits,
            self.state,
        )


def broken_rules(device: Device) -> list[FieldViolation]:
    """Every rule that a device breaks, in the order of its fields; empty if it may be registered."""
    return [
        *_device_id_rules(device.device_id),
        *_kind_rules(device.kind),
        *_text_rules("account_id", device.account_id, _ID_LENGTH, required=True),
        *_text_rules("site_id", device.site_id, _ID_LENGTH, required=False),
        *_text_rules("region", device.region, _REGION_LENGTH, required=True),
        *_time_zone_rules(device.time_zone),
        *_group_rules(device.group_ids),
        *_number_rules(device),
    ]


def _device_id_rules(device_id: str) -> list[FieldViolation]:
    if not device_id:
        return [FieldViolation("device_id", "FIELD_REQUIRED", "is required")]
    if not _DEVICE_ID.fullmatch(device_id):
        return [FieldViolation("device_id", "INVALID_FORMAT", "must be 1..128 characters of A-Z a-z 0-9 . _ : -")]
    return []


def _kind_rules(kind: int) -> list[FieldViolation]:
    if not kind:
        return [FieldViolation("kind", "FIELD_REQUIRED", "is required")]
    if kind not in frozenset(DeviceKind):
        return [FieldViolation("kind", "OUT_OF_RANGE", "must be METER, VEHICLE or STORAGE")]
    return []


def _text_rules(field: str, text: str, length_maximum: int, *, required: bool) -> list[FieldViolation]:
    if required and not text:
        return [FieldViolation(field, "FIELD_REQUIRED", "is required")]
    if len(text) > length_maximum:
        return [FieldViolation(field, "OUT_OF_RANGE", f"must have at most {length_maximum} characters")]
    # They stand in printed invoices, rows of exports and lines of terminals, where these would make others of them.
    if _UNPRINTABLE.search(text):
        return [FieldViolation(field, "INVALID_FORMAT", "must have no control characters, such as a line break")]
    return []


def _time_zone_rules(time_zone: str) -> list[FieldViolation]:
    if not time_zone:
        return [FieldViolation("time_zone", "FIELD_REQUIRED", "is required")]
    if time_zone.startswith(_NOT_ZONES) or not _is_known_zone(time_zone):
        return [FieldViolation("time_zone", "INVALID_FORMAT", "must be an IANA time zone, such as Asia/Kolkata")]
    return []


def _is_known_zone(time_zone: str) -> bool:
    try:
        ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):  # not found; no valid key; a folder of zones, such as `Asia`
        return False
    return True


def _group_rules(group_ids: tuple[str, ...]) -> list[FieldViolation]:
    if len(group_ids) > _GROUPS_MAXIMUM:
        return [FieldViolation("group_ids", "OUT_OF_RANGE", f"must be at most {_GROUPS_MAXIMUM} groups")]
    return [
        violation
        for index, group_id in enumerate(group_ids)
        for violation in _text_rules(f"group_ids[{index}]", group_id, _ID_LENGTH, required=True)
    ]


def _number_rules(device: Device) -> list[FieldViolation]:
    violations = []
    if not INTERVAL_MINIMUM_MS <= device.expected_interval_ms <= INTERVAL_MAXIMUM_MS:
        violations.append(FieldViolation("expected_interval", "OUT_OF_RANGE", "must be 1 millisecond to 31 days"))
    power_kw = device.connection_kw
    if power_kw is not None and not (math.isfinite(power_kw) and 0 < power_kw <= _CONNECTION_MAXIMUM_KW):
        description = f"must be above 0 and at most {_CONNECTION_MAXIMUM_KW} kW"
        violations.append(FieldViolation("connection_kw", "OUT_OF_RANGE", description))
    if not 0 <= device.register_digits <= _REGISTER_DIGITS_MAXIMUM:
        description = f"must be 1..{_REGISTER_DIGITS_MAXIMUM}, or 0 for none"
        violations.append(FieldViolation("register_digits", "OUT_OF_RANGE", description))
    if device.state not in frozenset(DeviceState):
        violations.append(FieldViolation("state", "OUT_OF_RANGE", "must be ACTIVE, MAINTENANCE or DECOMMISSIONED"))
    return violations
