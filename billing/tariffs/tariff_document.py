"""Tariffs and assignments at rest: as documents with exact amounts, as the contract has them, and instants as dates."""

from collections.abc import Mapping
from typing import Any

from energy.billing.v1 import tariff_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

from billing.tariffs.tariff import Tariff
from billing.tariffs.tariff_assignment import AssignmentVersion, Correction, TariffAssignment
from billing.tariffs.tariff_codec import tariff_from_message, tariff_message
from common.instants import datetime_from_ms, datetime_to_ms


def tariff_to_document(tariff: Tariff, create_time_ms: int) -> dict[str, Any]:
    """The document of a tariff: its message, in which no amount ever was a binary float."""
    message = tariff_message(tariff, create_time_ms)
    message.ClearField("create_time")
    return {
        "_id": tariff.tariff_id,
        "key": tariff.tariff_id,
        "tariff": MessageToDict(message, preserving_proto_field_name=True),
        "create_time": datetime_from_ms(create_time_ms),
    }


def tariff_from_document(document: Mapping[str, Any]) -> tuple[Tariff, int]:
    """The tariff of a document and when it was created, UTC milliseconds; the inverse of `tariff_to_document`."""
    # A field of a later release would change what the tariff means, so that one is refused and not passed over.
    message = ParseDict(document["tariff"], tariff_pb2.Tariff())
    return tariff_from_message(message), datetime_to_ms(document["create_time"])


def assignment_key(assignment: TariffAssignment, number: int) -> str:
    """The id of a version of an assignment: for whom, from when on, and which, so that there is one."""
    first = f"{assignment.scope}@{assignment.start_ms}"
    return first if number == 1 else f"{first}#{number}"


def assignment_to_document(version: AssignmentVersion) -> dict[str, Any]:
    """The document of a version of an assignment."""
    assignment, correction = version.assignment, version.correction
    document = {
        "_id": assignment_key(assignment, version.number),
        "scope": assignment.scope,
        "device_id": assignment.device_id,
        "site_id": assignment.site_id,
        "group_id": assignment.group_id,
        "tariff_id": assignment.tariff_id,
        "start_time": datetime_from_ms(assignment.start_ms),
        "create_time": datetime_from_ms(version.create_ms),
        "number": version.number,
        "is_cancelled": version.is_cancelled,
    }
    if correction is not None:
        document["correction"] = {"actor": correction.actor, "reason": correction.reason}
    return document


def assignment_from_document(document: Mapping[str, Any]) -> AssignmentVersion:
    """The version of a document; the inverse of `assignment_to_document`, and of those before there were versions."""
    correction = document.get("correction")
    return AssignmentVersion(
        assignment=TariffAssignment(
            device_id=document["device_id"],
            tariff_id=document["tariff_id"],
            start_ms=datetime_to_ms(document["start_time"]),
            site_id=document["site_id"],
            group_id=document["group_id"],
        ),
        number=document.get("number", 1),
        create_ms=datetime_to_ms(document["create_time"]),
        is_cancelled=document.get("is_cancelled", False),
        correction=None if correction is None else Correction(correction["actor"], correction["reason"]),
    )
