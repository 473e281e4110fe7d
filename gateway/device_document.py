"""A device between the registry and its collection: field names as in the contract, instants as dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.instants import datetime_from_ms, datetime_to_ms
from gateway.device import Device
from gateway.vehicle_link import VehicleLink, in_order

Document = dict[str, Any]


def device_to_document(device: Device) -> Document:
    """The document of a device; `_id` is its device_id, which stands in a field of its own, too."""
    document: Document = {
        "_id": device.device_id,
        "device_id": device.device_id,
        "kind": int(device.kind),
        "account_id": device.account_id,
        "site_id": device.site_id,
        "region": device.region,
        "time_zone": device.time_zone,
        "group_ids": list(device.group_ids),
        "expected_interval_ms": device.expected_interval_ms,
        "register_digits": device.register_digits,
        "state": int(device.state),
        "links": [link_to_document(link) for link in device.links],
        "create_time": datetime_from_ms(device.create_time_ms),
        "update_time": datetime_from_ms(device.update_time_ms),
        "version": device.version,
    }
    if device.connection_kw is not None:
        document["connection_kw"] = device.connection_kw
    return document


def device_from_document(document: Mapping[str, Any]) -> Device:
    """The device of a document."""
    return Device(
        device_id=document["_id"],
        kind=document["kind"],
        account_id=document["account_id"],
        site_id=document["site_id"],
        region=document["region"],
        time_zone=document["time_zone"],
        group_ids=tuple(document["group_ids"]),
        expected_interval_ms=document["expected_interval_ms"],
        connection_kw=document.get("connection_kw"),
        register_digits=document["register_digits"],
        state=document["state"],
        links=in_order([_link_from_document(link) for link in document["links"]]),
        create_time_ms=datetime_to_ms(document["create_time"]),
        update_time_ms=datetime_to_ms(document["update_time"]),
        version=document["version"],
    )


def link_to_document(link: VehicleLink) -> Document:
    """The sub-document of a link, the same in the document of the meter and in that of the vehicle."""
    return {
        "vehicle_id": link.vehicle_id,
        "meter_id": link.meter_id,
        "start_time": datetime_from_ms(link.start_time_ms),
        "end_time": None if link.end_time_ms is None else datetime_from_ms(link.end_time_ms),
    }


def _link_from_document(document: Mapping[str, Any]) -> VehicleLink:
    end_time = document["end_time"]
    return VehicleLink(
        vehicle_id=document["vehicle_id"],
        meter_id=document["meter_id"],
        start_time_ms=datetime_to_ms(document["start_time"]),
        end_time_ms=None if end_time is None else datetime_to_ms(end_time),
    )
