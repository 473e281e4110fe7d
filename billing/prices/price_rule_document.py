"""The rules that make prices of regions at rest: policies as the contract has them, overrides field by field."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from energy.billing.v1 import price_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

from billing.prices.price_override import PriceOverride
from billing.prices.price_policy import PricePolicy
from billing.prices.price_rule_codec import policy_from_message, policy_message
from billing.prices.region_price_document import place_of
from common.instants import datetime_from_ms, datetime_to_ms

# So that one comparison finds what has not ended.
_NEVER_MS = 253_402_300_799_999


def policy_to_document(policy: PricePolicy, create_ms: int) -> dict[str, Any]:
    """The document of a policy; its id says region and start, so that there is one from an instant on."""
    message = policy_message(policy, create_ms)
    message.ClearField("create_time")
    return {
        "_id": place_of(policy.region, policy.start_ms),
        "region": policy.region,
        "start": datetime_from_ms(policy.start_ms),
        "policy": MessageToDict(message, preserving_proto_field_name=True),
        "create_time": datetime_from_ms(create_ms),
    }


def policy_from_document(document: Mapping[str, Any]) -> tuple[PricePolicy, int]:
    """The policy of a document and when it was created, UTC milliseconds; the inverse of `policy_to_document`."""
    # A field of a later release would change what the policy means, so that one is refused and not passed over.
    message = ParseDict(document["policy"], price_pb2.PricePolicy())
    return policy_from_message(message), datetime_to_ms(document["create_time"])


def override_to_document(override: PriceOverride) -> dict[str, Any]:
    """The document of an override."""
    return {
        "_id": override.override_id,
        "key": override.override_id,
        "region": override.region,
        "currency_code": override.currency_code,
        "per_kwh": str(override.per_kwh),
        "start": datetime_from_ms(override.start_ms),
        "end": datetime_from_ms(_NEVER_MS if override.end_ms is None else override.end_ms),
        "reason": override.reason,
        "author": override.author,
        "create_time": datetime_from_ms(override.create_ms),
        "remove_time": None if override.remove_ms is None else datetime_from_ms(override.remove_ms),
        "removed_by": override.removed_by,
        "remove_reason": override.remove_reason,
        "has_open_start": override.has_open_start,
        "first_end": None if override.first_end_ms is None else datetime_from_ms(override.first_end_ms),
    }


def override_from_document(document: Mapping[str, Any]) -> PriceOverride:
    """The override of a document; the inverse of `override_to_document`, also of those that kept no first end."""
    end_ms, remove_time, first_end = datetime_to_ms(document["end"]), document["remove_time"], document.get("first_end")
    return PriceOverride(
        override_id=document["_id"],
        region=document["region"],
        currency_code=document["currency_code"],
        per_kwh=Decimal(document["per_kwh"]),
        start_ms=datetime_to_ms(document["start"]),
        end_ms=None if end_ms == _NEVER_MS else end_ms,
        reason=document["reason"],
        author=document["author"],
        create_ms=datetime_to_ms(document["create_time"]),
        remove_ms=None if remove_time is None else datetime_to_ms(remove_time),
        removed_by=document["removed_by"],
        remove_reason=document["remove_reason"],
        has_open_start=document["has_open_start"],
        first_end_ms=None if first_end is None else datetime_to_ms(first_end),
    )
