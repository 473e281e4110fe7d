"""The prices of regions and the windows they follow from at rest: exact numbers as text, instants as dates."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.prices.region_price import LoadWindow, PriceSource, RegionPrice
from common.event_outbox import PENDING
from common.instants import datetime_from_ms, datetime_to_ms


def place_of(region: str, start_ms: int) -> str:
    """The id of what a region has one of from an instant on, UTC milliseconds."""
    return f"{region}@{start_ms}"


def price_to_document(price: RegionPrice, *, tell: bool) -> dict[str, Any]:
    """The document of a price, marked to be told where `tell` says so."""
    document = {
        "_id": place_of(price.region, price.start_ms),
        "region": price.region,
        "start": datetime_from_ms(price.start_ms),
        "currency_code": price.currency_code,
        "per_kwh": str(price.per_kwh),
        "source": price.source.value,
        "name": price.name,
        "reason": price.reason,
        "fix_time": datetime_from_ms(price.fix_ms),
        "automatic_per_kwh": str(price.automatic_per_kwh),
        "policy_start": datetime_from_ms(price.policy_start_ms),
        "band": price.band,
        "band_since": datetime_from_ms(price.band_since_ms),
        "load_percent": None if price.load_percent is None else str(price.load_percent),
        "window_start": None if price.window_start_ms is None else datetime_from_ms(price.window_start_ms),
        "override_id": price.override_id,
        "version": 1,
    }
    return document | {PENDING: 1} if tell else document


def price_from_document(document: Mapping[str, Any]) -> RegionPrice:
    """The price of a document; the inverse of `price_to_document`."""
    load_percent, window_start = document["load_percent"], document["window_start"]
    return RegionPrice(
        region=document["region"],
        start_ms=datetime_to_ms(document["start"]),
        currency_code=document["currency_code"],
        per_kwh=Decimal(document["per_kwh"]),
        source=PriceSource(document["source"]),
        name=document["name"],
        reason=document["reason"],
        fix_ms=datetime_to_ms(document["fix_time"]),
        automatic_per_kwh=Decimal(document["automatic_per_kwh"]),
        policy_start_ms=datetime_to_ms(document["policy_start"]),
        band=document["band"],
        band_since_ms=datetime_to_ms(document["band_since"]),
        load_percent=None if load_percent is None else Decimal(load_percent),
        window_start_ms=None if window_start is None else datetime_to_ms(window_start),
        override_id=document["override_id"],
    )


def window_to_document(window: LoadWindow, expire_ms: int) -> dict[str, Any]:
    """The document of a window of load, which goes at `expire_ms`, UTC milliseconds."""
    return {
        "_id": place_of(window.region, window.start_ms),
        "region": window.region,
        "start": datetime_from_ms(window.start_ms),
        "end": datetime_from_ms(window.end_ms),
        "version": window.version,
        "load_percent": None if window.load_percent is None else str(window.load_percent),
        "covered_percent": str(window.covered_percent),
        "expire_at": datetime_from_ms(expire_ms),
    }


def window_from_document(document: Mapping[str, Any]) -> LoadWindow:
    """The window of a document; the inverse of `window_to_document`."""
    load_percent = document["load_percent"]
    return LoadWindow(
        region=document["region"],
        start_ms=datetime_to_ms(document["start"]),
        end_ms=datetime_to_ms(document["end"]),
        version=document["version"],
        load_percent=None if load_percent is None else Decimal(load_percent),
        covered_percent=Decimal(document["covered_percent"]),
    )
