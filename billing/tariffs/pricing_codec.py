"""Prices of energy, flat or by the local clock, and their windows between the contract and the rules."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from energy.billing.v1 import tariff_pb2
from google.type.date_pb2 import Date
from google.type.dayofweek_pb2 import DayOfWeek

from billing.tariffs.tariff import (
    DynamicPricing,
    FlatPricing,
    PriceStep,
    TimeOfUsePeriod,
    TimeOfUsePricing,
    TimeOfUseWindow,
)
from billing.tariffs.tariff_reader import TariffReader, decimal_message
from common.money import from_decimal


def flat_pricing(reader: TariffReader, message: tariff_pb2.FlatPricing, path: str) -> FlatPricing:
    """One price; `path` is the path of the message."""
    return FlatPricing(reader.money(message, "price_per_kwh", path), _steps(reader, message.steps, f"{path}.steps"))


def time_of_use_pricing(reader: TariffReader, message: tariff_pb2.TimeOfUsePricing, path: str) -> TimeOfUsePricing:
    """Prices by the clock; `path` is the path of the message."""
    return TimeOfUsePricing(
        periods=tuple(
            TimeOfUsePeriod(
                name=period.name,
                price_per_kwh=reader.money(period, "price_per_kwh", f"{path}.periods[{index}]"),
                windows=windows(period.windows),
                steps=_steps(reader, period.steps, f"{path}.periods[{index}].steps"),
            )
            for index, period in enumerate(message.periods)
        ),
        default_name=message.default_name,
        default_price_per_kwh=reader.money(message, "default_price_per_kwh", path),
        holidays=frozenset(reader.days(message.holidays, f"{path}.holidays")),
        default_steps=_steps(reader, message.default_steps, f"{path}.default_steps"),
    )


def dynamic_pricing(reader: TariffReader, message: tariff_pb2.DynamicPricing, path: str) -> DynamicPricing:
    """The price of a region; `path` is the path of the message."""
    return DynamicPricing(reader.optional_money(message, "adder_per_kwh", path) or Decimal(0))


def windows(messages: Iterable[tariff_pb2.TimeOfUseWindow]) -> tuple[TimeOfUseWindow, ...]:
    """Windows of the local day."""
    return tuple(_window(message) for message in messages)


def flat_message(pricing: FlatPricing, currency_code: str) -> tariff_pb2.FlatPricing:
    """The message of one price."""
    return tariff_pb2.FlatPricing(
        price_per_kwh=from_decimal(pricing.price_per_kwh, currency_code),
        steps=_step_messages(pricing.steps, currency_code),
    )


def time_of_use_message(pricing: TimeOfUsePricing, currency_code: str) -> tariff_pb2.TimeOfUsePricing:
    """The message of prices by the clock."""
    return tariff_pb2.TimeOfUsePricing(
        periods=[
            tariff_pb2.TimeOfUsePeriod(
                name=period.name,
                price_per_kwh=from_decimal(period.price_per_kwh, currency_code),
                windows=window_messages(period.windows),
                steps=_step_messages(period.steps, currency_code),
            )
            for period in pricing.periods
        ],
        default_name=pricing.default_name,
        default_price_per_kwh=from_decimal(pricing.default_price_per_kwh, currency_code),
        holidays=[Date(year=day.year, month=day.month, day=day.day) for day in sorted(pricing.holidays)],
        default_steps=_step_messages(pricing.default_steps, currency_code),
    )


def dynamic_message(pricing: DynamicPricing, currency_code: str) -> tariff_pb2.DynamicPricing:
    """The message of the price of a region."""
    adder = from_decimal(pricing.adder_per_kwh, currency_code) if pricing.adder_per_kwh else None
    return tariff_pb2.DynamicPricing(adder_per_kwh=adder)


def window_messages(windows: Iterable[TimeOfUseWindow]) -> list[tariff_pb2.TimeOfUseWindow]:
    """The messages of windows."""
    monday = DayOfWeek.Value("MONDAY")
    return [
        tariff_pb2.TimeOfUseWindow(
            days_of_week=[monday + weekday for weekday in sorted(window.days_of_week)],
            start_minute=window.start_minute,
            end_minute=window.end_minute,
            months=sorted(window.months),
        )
        for window in windows
    ]


def _window(message: tariff_pb2.TimeOfUseWindow) -> TimeOfUseWindow:
    weekdays = frozenset(day - DayOfWeek.Value("MONDAY") for day in message.days_of_week)
    return TimeOfUseWindow(weekdays, message.start_minute, message.end_minute, frozenset(message.months))


def _steps(reader: TariffReader, messages: Sequence[tariff_pb2.PriceStep], path: str) -> tuple[PriceStep, ...]:
    steps = []
    for index, message in enumerate(messages):
        above_kwh = reader.optional_number(message, "above_kwh", f"{path}[{index}]")
        if above_kwh is None:
            reader.refuse(f"{path}[{index}].above_kwh", "FIELD_REQUIRED", "is required")
        else:
            steps.append(PriceStep(above_kwh, reader.money(message, "price_per_kwh", f"{path}[{index}]")))
    return tuple(steps)


def _step_messages(steps: Iterable[PriceStep], currency_code: str) -> list[tariff_pb2.PriceStep]:
    return [
        tariff_pb2.PriceStep(
            above_kwh=decimal_message(step.above_kwh), price_per_kwh=from_decimal(step.per_kwh, currency_code)
        )
        for step in steps
    ]
