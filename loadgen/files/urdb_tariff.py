"""A rate of the US Utility Rate Database as a tariff: what it says, what it leaves open, what is not taken from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

from energy.billing.v1 import tariff_pb2 as pb
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money

from common.money import from_decimal
from loadgen.files.urdb_demand import add_demand
from loadgen.files.urdb_export import ExportPrices, add_export
from loadgen.files.urdb_file import UrdbRate, UrdbTier
from loadgen.files.urdb_windows import windows_of

_PRICE_STEP = Decimal("0.00000001")
_ALLOWANCES = {
    "": pb.TIER_ALLOWANCE_MONTH,
    "kwh": pb.TIER_ALLOWANCE_MONTH,
    "kwh daily": pb.TIER_ALLOWANCE_DAYS_OF_MONTH,
}
_COUNTERS = {"tariff": pb.TIER_COUNTER_TARIFF, "price": pb.TIER_COUNTER_PRICE}
_NOT_BILLED = {
    "demandreactivepowercharge": "reactive power",
    "annualmincharge": "the annual minimum",
    "coincidentratestructure": "coincident demand",
    "fueladjustmentsmonthly": "monthly fuel adjustments",
    "fixedchargeeaaddl": "each further meter",
}


@dataclass(frozen=True, slots=True)
class UrdbChoices:
    """What a rate leaves open, to be said by who imports it; `tier_counter` is `tariff` or `price`.

    `net_metering_sell` is what is paid for a kWh that is left at the true-up, where the rate has net metering.
    """

    tariff_id: str
    currency_code: str = "USD"
    tax_percent: Decimal = Decimal(0)
    holidays: Sequence[date] = ()
    tier_counter: str | None = None
    net_metering_sell: Decimal | None = None
    true_up_month: int = 12


@dataclass(slots=True)
class UrdbTariff:
    """The tariff, from when and until when the rate holds (None: it does not say), and what a person should know."""

    tariff: pb.Tariff
    start: datetime | None
    end: datetime | None = None
    remarks: list[str] = field(default_factory=list)

    def remarks_on(self, usage_start_ms: int, usage_end_ms: int) -> list[str]:
        """What a person should know beside where usage of [start, end), epoch milliseconds, is billed by it."""
        found = []
        if self.start is not None and usage_start_ms < self.start.timestamp() * 1000:
            found.append(
                f"the rate holds from {self.start.date()} on, and there is usage before; it is billed by it too"
            )
        if self.end is not None and usage_end_ms > self.end.timestamp() * 1000:
            found.append(f"the rate ended on {self.end.date()}, and there is usage after; it is billed by it too")
        return found


def urdb_tariff(rate: UrdbRate, choices: UrdbChoices) -> UrdbTariff:
    """The tariff of a rate.

    Raises:
        MalformedFile: something in it cannot be taken, or has to be chosen; the text says what and where.
    """
    found = UrdbTariff(
        pb.Tariff(
            tariff_id=choices.tariff_id,
            display_name=f"{rate.text('utility')}: {rate.text('name')}"[:200],
            currency_code=choices.currency_code,
            tax_percent=DecimalMessage(value=f"{choices.tax_percent:f}"),
        ),
        _instant(rate, "startdate"),
        _instant(rate, "enddate"),
    )
    importer = _Importer(rate, choices, found)
    importer.energy()
    add_demand(rate, found.tariff, importer.money, found.remarks)
    importer.charges()
    importer.export()
    importer.tell()
    return found


class _Importer:
    """Takes one rate over, part by part."""

    def __init__(self, rate: UrdbRate, choices: UrdbChoices, found: UrdbTariff) -> None:
        self._rate = rate
        self._choices = choices
        self._found = found
        self._energy = rate.periods("energyratestructure")
        if not self._energy:
            raise rate.wrong("energyratestructure", "is missing")
        self._schedule = rate.schedule("energy", len(self._energy))

    def energy(self) -> None:
        """The prices of energy by the clock, with their tiers."""
        tariff = self._found.tariff
        tariff.time_of_use.CopyFrom(self._by_clock([self._price(tiers, n) for n, tiers in enumerate(self._energy)]))
        if not tariff.time_of_use.periods:
            flat = tariff.time_of_use
            tariff.flat.CopyFrom(pb.FlatPricing(price_per_kwh=flat.default_price_per_kwh, steps=flat.default_steps))
        if any(len(tiers) > 1 for tiers in self._energy):
            self._tier_rules()

    def _tier_rules(self) -> None:
        units = {tier.unit.lower() for tiers in self._energy for tier in tiers}
        unknown = units - set(_ALLOWANCES)
        if unknown or len({_ALLOWANCES[unit] for unit in units}) > 1:
            told = ", ".join(sorted(units))
            raise self._rate.wrong("energyratestructure", f"has tiers by {told}, taken are kWh or kWh daily")
        counter = self._choices.tier_counter
        if counter is None and len(self._energy) > 1:
            raise self._rate.wrong(
                "energyratestructure", "has tiers and does not say what they count: choose tariff or price"
            )
        self._found.tariff.tier_rules.allowance = _ALLOWANCES[units.pop()]
        self._found.tariff.tier_rules.counter = _COUNTERS[counter or "tariff"]

    def _price(self, tiers: Sequence[UrdbTier], period: int) -> pb.FlatPricing:
        place = f"energyratestructure[{period}]"
        message = pb.FlatPricing(price_per_kwh=self.money(tiers[0].rate, f"{place}[0]"))
        for number, (before, tier) in enumerate(pairwise(tiers), 1):
            if before.up_to is None:
                raise self._rate.wrong(f"{place}[{number - 1}]", "has no max, so the tiers after it are never reached")
            message.steps.add(
                above_kwh=DecimalMessage(value=f"{before.up_to:f}"),
                price_per_kwh=self.money(tier.rate, f"{place}[{number}]"),
            )
        if tiers[-1].up_to is not None:
            self._found.remarks.append(
                f"{place}: its last tier ends at {tiers[-1].up_to:f}; its price goes on above it"
            )
        return message

    def _by_clock(self, prices: Sequence[pb.FlatPricing]) -> pb.TimeOfUsePricing:
        rows = [*self._schedule.weekday, *self._schedule.weekend]
        hours = Counter(period for row in rows for period in row)
        # The most common period is the rest of the time, which needs no windows.
        default = max(hours, key=lambda period: (hours[period], -period))
        pricing = pb.TimeOfUsePricing(
            default_name=self._name(default),
            default_price_per_kwh=prices[default].price_per_kwh,
            default_steps=prices[default].steps,
            holidays=[Date(year=day.year, month=day.month, day=day.day) for day in self._choices.holidays],
        )
        for period in sorted(hours):
            if period != default:
                pricing.periods.add(
                    name=self._name(period),
                    price_per_kwh=prices[period].price_per_kwh,
                    steps=prices[period].steps,
                    windows=list(windows_of(self._schedule, period)),
                )
        return pricing

    def _name(self, period: int) -> str:
        labels = self._rate.labels("energytoulabels")
        label = labels[period] if period < len(labels) else ""
        return label if label and labels.count(label) == 1 else f"period {period}"

    def charges(self) -> None:
        """Fixed and minimum charges."""
        fixed = {"$/month": "monthly_charge", "$/day": "daily_charge", "$/year": "monthly_charge"}
        self._charge_of_time("fixedchargefirstmeter", "fixedchargeunits", fixed)
        if self._rate.text("minchargeunits") == "$/year":
            self._found.remarks.append("mincharge is not billed: it is the minimum of a year")
        else:
            self._charge_of_time("mincharge", "minchargeunits", {"$/month": "minimum_monthly_charge"})
        for old, name in (("fixedmonthlycharge", "monthly_charge"), ("minmonthlycharge", "minimum_monthly_charge")):
            amount = self._rate.number(old)
            if amount and not self._found.tariff.HasField(name):  # type: ignore[arg-type]
                getattr(self._found.tariff, name).CopyFrom(self.money(amount, old))

    def _charge_of_time(self, field_: str, unit_field: str, units: Mapping[str, str]) -> None:
        amount = self._rate.number(field_)
        if not amount:
            return
        unit = self._rate.text(unit_field) or "$/month"
        if unit not in units:
            raise self._rate.wrong(unit_field, f"is {unit}, taken is {' or '.join(units)}")
        if unit == "$/year":
            amount = (amount / 12).quantize(_PRICE_STEP, ROUND_HALF_UP)
            self._found.remarks.append(f"{field_} is of a year: a twelfth of it, {amount:f}, is billed a month")
        getattr(self._found.tariff, units[unit]).CopyFrom(self.money(amount, field_))

    def export(self) -> None:
        """What export is paid with: see `add_export`."""
        prices = ExportPrices(
            [self._sell(tiers, period) for period, tiers in enumerate(self._energy)], self.money, self._by_clock
        )
        choices = self._choices
        chosen = None if choices.net_metering_sell is None else (choices.net_metering_sell, choices.true_up_month)
        add_export(self._rate, self._found.tariff, prices, chosen, self._found.remarks)

    def _sell(self, tiers: Sequence[UrdbTier], period: int) -> Decimal | None:
        sells = {tier.sell for tier in tiers}
        if len(sells) > 1:
            place = f"energyratestructure[{period}]"
            raise self._rate.wrong(place, "has a sell price that differs from tier to tier, which is not taken")
        return sells.pop()

    def tell(self) -> None:
        """What a person should know beside."""
        remarks = self._found.remarks
        remarks += [f"{name} is not billed: {what}" for name, what in _NOT_BILLED.items() if self._rate.has(name)]
        if self._rate.has("supersedes"):
            remarks.append(f"the rate takes the place of {self._rate.text('supersedes')}, which is not in the file")
        if self._found.end is not None:
            remarks.append(f"the rate ended on {self._found.end.date()}")
        if not self._choices.holidays and self._found.tariff.HasField("time_of_use"):
            remarks.append("no holidays are given, so every holiday counts as the day of the week it is")
        self._found.remarks = list(dict.fromkeys(remarks))

    def money(self, amount: Decimal, place: str) -> Money:
        """An amount of the tariff, at most 8 decimals; `place` is where it stands."""
        rounded = amount.quantize(_PRICE_STEP, ROUND_HALF_UP)
        if rounded != amount:
            self._found.remarks.append(f"{place}: {amount:f} is rounded to 8 decimals")
        return from_decimal(rounded, self._choices.currency_code)


def _instant(rate: UrdbRate, name: str) -> datetime | None:
    seconds = rate.number(name)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        raise rate.wrong(name, "must be seconds since 1970") from None
