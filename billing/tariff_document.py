"""Tariffs and assignments at rest: as documents with exact amounts as decimal text and instants as dates."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from billing.tariff import (
    FlatPricing,
    Tariff,
    TariffAssignment,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from common.instants import datetime_from_ms, datetime_to_ms


def tariff_to_document(tariff: Tariff, create_time_ms: int) -> dict[str, Any]:
    """The document of a tariff; no amount in it ever was a binary float."""
    return {
        "_id": tariff.tariff_id,
        "display_name": tariff.display_name,
        "currency_code": tariff.currency_code,
        "pricing": _pricing_to_document(tariff.pricing),
        "daily_charge": None if tariff.daily_charge is None else str(tariff.daily_charge),
        "tax_percent": str(tariff.tax_percent),
        "create_time": datetime_from_ms(create_time_ms),
    }


def tariff_from_document(document: Mapping[str, Any]) -> tuple[Tariff, int]:
    """The tariff of a document and when it was created, UTC milliseconds; the inverse of `tariff_to_document`."""
    daily_charge = document["daily_charge"]
    tariff = Tariff(
        tariff_id=document["_id"],
        display_name=document["display_name"],
        currency_code=document["currency_code"],
        pricing=_pricing_from_document(document["pricing"]),
        daily_charge=None if daily_charge is None else Decimal(daily_charge),
        tax_percent=Decimal(document["tax_percent"]),
    )
    return tariff, datetime_to_ms(document["create_time"])


def assignment_to_document(assignment: TariffAssignment, create_time_ms: int) -> dict[str, Any]:
    """The document of an assignment; its id says device and start, so that there is one tariff from an instant on."""
    return {
        "_id": f"{assignment.device_id}@{assignment.start_ms}",
        "device_id": assignment.device_id,
        "tariff_id": assignment.tariff_id,
        "start_time": datetime_from_ms(assignment.start_ms),
        "create_time": datetime_from_ms(create_time_ms),
    }


def assignment_from_document(document: Mapping[str, Any]) -> TariffAssignment:
    """The assignment of a document; the inverse of `assignment_to_document`."""
    return TariffAssignment(document["device_id"], document["tariff_id"], datetime_to_ms(document["start_time"]))


def _pricing_to_document(pricing: FlatPricing | TimeOfUsePricing) -> dict[str, Any]:
    if isinstance(pricing, FlatPricing):
        return {"flat": {"price_per_kwh": str(pricing.price_per_kwh)}}
    periods = [
        {
            "name": period.name,
            "price_per_kwh": str(period.price_per_kwh),
            "windows": [_window_to_document(window) for window in period.windows],
        }
        for period in pricing.periods
    ]
    default: dict[str, Any] = {
        "default_name": pricing.default_name,
        "default_price_per_kwh": str(pricing.default_price_per_kwh),
        "holidays": sorted(day.isoformat() for day in pricing.holidays),
    }
    return {"time_of_use": {"periods": periods, **default}}


def _pricing_from_document(document: Mapping[str, Any]) -> FlatPricing | TimeOfUsePricing:
    if "flat" in document:
        return FlatPricing(Decimal(document["flat"]["price_per_kwh"]))
    pricing = document["time_of_use"]
    periods = tuple(
        TimeOfUsePeriod(
            name=period["name"],
            price_per_kwh=Decimal(period["price_per_kwh"]),
            windows=tuple(_window_from_document(window) for window in period["windows"]),
        )
        for period in pricing["periods"]
    )
    return TimeOfUsePricing(
        periods,
        pricing["default_name"],
        Decimal(pricing["default_price_per_kwh"]),
        frozenset(date.fromisoformat(day) for day in pricing.get("holidays", ())),
    )


def _window_to_document(window: TimeOfUseWindow) -> dict[str, Any]:
    return {
        "days_of_week": sorted(window.days_of_week),
        "start_minute": window.start_minute,
        "end_minute": window.end_minute,
        "months": sorted(window.months),
    }


def _window_from_document(document: Mapping[str, Any]) -> TimeOfUseWindow:
    return TimeOfUseWindow(
        frozenset(document["days_of_week"]),
        document["start_minute"],
        document["end_minute"],
        frozenset(document.get("months", ())),
    )
