"""What a rate pays for export: its sell prices, and the rule of distributed generation that they are meant by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from energy.billing.v1 import tariff_pb2 as pb
from google.type.money_pb2 import Money

from loadgen.files.urdb_file import UrdbRate

_NET_METERING = "net metering"
# Which of export and import meet before they are priced; a rate that names no rule means what its meter measures.
_MODES = {
    "": pb.EXPORT_MODE_NET_BILLING,
    "net billing": pb.EXPORT_MODE_NET_BILLING,
    "net billing instantaneous": pb.EXPORT_MODE_NET_BILLING,
    "net billing hourly": pb.EXPORT_MODE_INTERVAL_NETTING,
    "buy all sell all": pb.EXPORT_MODE_NET_BILLING,
}


class ExportPrices(NamedTuple):
    """The sell price of each period, None where it has none; how money and prices by the clock are made of them."""

    sells: Sequence[Decimal | None]
    money: Callable[[Decimal, str], Money]
    by_clock: Callable[[Sequence[pb.FlatPricing]], pb.TimeOfUsePricing]


def add_export(
    rate: UrdbRate,
    tariff: pb.Tariff,
    prices: ExportPrices,
    chosen: tuple[Decimal, int] | None,
    remarks: list[str],
) -> None:
    """Adds the terms of export to a tariff, where the rate or who imports it gives a price.

    `chosen` is what a kWh earns that is left at the true-up, and its month, where net metering is asked for.

    Raises:
        MalformedFile: the rule and the prices together are nothing that can be billed.
    """
    rules = rate.text("dgrules")
    if chosen is not None:
        _net_metering(tariff, chosen[1], prices.money(chosen[0], "what is left at the true-up"))
        return
    if all(sell is None for sell in prices.sells):
        if rules:
            remarks.append(f"dgrules are {rules!r}: export is not on the bill unless its price is given")
        return
    if rules.lower() == _NET_METERING:
        raise rate.wrong(
            "dgrules", "are Net Metering beside sell prices, and do not say when what is left is paid for: choose both"
        )
    mode = _MODES.get(rules.lower())
    if mode is None:
        raise rate.wrong("dgrules", f"are {rules!r}, taken are Net Metering, Net Billing and Buy All Sell All")
    if mode == pb.EXPORT_MODE_INTERVAL_NETTING:
        remarks.append(f"dgrules are {rules!r}: import and export are set off by quarter-hours, or longer readings")
    if rules.lower() == "buy all sell all":
        remarks.append(f"dgrules are {rules!r}: export is taken to be all that was generated")
    remarks += [
        f"energyratestructure[{period}] has no sell price: export in it earns nothing"
        for period, sell in enumerate(prices.sells)
        if sell is None
    ]
    tariff.export.mode = mode
    by_clock = prices.by_clock(
        [
            pb.FlatPricing(price_per_kwh=prices.money(sell or Decimal(0), f"energyratestructure[{period}][0].sell"))
            for period, sell in enumerate(prices.sells)
        ]
    )
    if by_clock.periods:
        tariff.export.time_of_use.CopyFrom(by_clock)
    else:
        tariff.export.flat.price_per_kwh.CopyFrom(by_clock.default_price_per_kwh)


def _net_metering(tariff: pb.Tariff, true_up_month: int, sell: Money) -> None:
    tariff.export.mode = pb.EXPORT_MODE_PERIOD_NETTING
    tariff.export.true_up_month = true_up_month
    tariff.export.flat.price_per_kwh.CopyFrom(sell)
