"""Which tariff and price each reading of a device meets: its assignments and their prices laid out in time."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from billing.tariffs.dynamic_pricing import NO_REGION, RegionPrices, dynamic_segments
from billing.tariffs.tariff import DynamicPricing, EnergyPricing, Price, Tariff
from billing.tariffs.tariff_assignment import TariffAssignment
from billing.tariffs.time_of_use import PriceSegment, clock_zone, price_segments


class TariffSegment(NamedTuple):
    """A span [start_ms, end_ms) of UTC milliseconds in which one price of one tariff holds.

    `export_price` is what export is paid with, None where the tariff does not, or that price is not fixed yet.
    """

    start_ms: int
    end_ms: int
    tariff: Tariff
    price: Price
    export_price: Price | None = None


def price_timeline(
    assignments: Iterable[TariffAssignment],
    tariffs: Mapping[str, Tariff],
    zone: ZoneInfo,
    start_ms: int,
    end_ms: int,
    *,
    region_prices: RegionPrices = NO_REGION,
) -> list[TariffSegment]:
    """The prices of a device over [start_ms, end_ms), UTC milliseconds, as the fewest segments, by time.

    Begins later than `start_ms` where no tariff is assigned yet. Assigning the same tariff again is no change.
    `region_prices` are those of the device's region, for tariffs that follow them.

    Raises:
        KeyError: a tariff that is in effect is not among `tariffs`.
        PriceNotFixed: a tariff follows the region's price, and there is none for some of its time.
        CurrencyMixed: that price is in another currency than the tariff.
    """
    return [
        segment
        for tariff_id, begun_ms, ended_ms in _assigned_spans(assignments, start_ms, end_ms)
        for segment in _tariff_segments(tariffs[tariff_id], zone, begun_ms, ended_ms, region_prices)
    ]


def tariffs_in_effect(assignments: Iterable[TariffAssignment], start_ms: int, end_ms: int) -> list[str]:
    """The ids of the tariffs that price some part of [start_ms, end_ms), UTC milliseconds, each once."""
    spans = _assigned_spans(assignments, start_ms, end_ms)
    return list(dict.fromkeys(tariff_id for tariff_id, _, _ in spans))


def tariff_id_at(assignments: Iterable[TariffAssignment], instant_ms: int) -> str:
    """The tariff that is in effect at an instant, UTC milliseconds; empty without one."""
    begun = [one for one in sorted(assignments, key=_start_ms) if one.start_ms <= instant_ms]
    return begun[-1].tariff_id if begun else ""


def segment_at(timeline: Sequence[TariffSegment], instant_ms: int) -> TariffSegment | None:
    """The segment that an instant, UTC milliseconds, lies in, or None outside of the timeline."""
    following = bisect_right(timeline, instant_ms, key=_start_ms)
    if following == 0 or timeline[following - 1].end_ms <= instant_ms:
        return None
    return timeline[following - 1]


def _tariff_segments(
    tariff: Tariff, zone: ZoneInfo, start_ms: int, end_ms: int, region_prices: RegionPrices
) -> Iterator[TariffSegment]:
    clock = clock_zone(tariff.clock, zone, start_ms)

    def segments(pricing: EnergyPricing) -> Iterator[PriceSegment]:
        if isinstance(pricing, DynamicPricing):
            return dynamic_segments(tariff, pricing, region_prices, start_ms, end_ms)
        return price_segments(pricing, clock, start_ms, end_ms)

    imports = segments(tariff.pricing)
    if tariff.export is None:
        yield from (TariffSegment(begun_ms, ended_ms, tariff, price) for begun_ms, ended_ms, price in imports)
        return
    for begun_ms, ended_ms, price, export_price in _overlaps(imports, segments(tariff.export.pricing)):
        yield TariffSegment(begun_ms, ended_ms, tariff, price, export_price)


def _overlaps(
    imports: Iterator[PriceSegment], exports: Iterator[PriceSegment]
) -> Iterator[tuple[int, int, Price, Price | None]]:
    """The prices of what is taken, with those of what is given laid over them: None where these are not fixed yet."""
    other = next(exports, None)
    for one in imports:
        reached_ms = one.start_ms
        while other and other.start_ms < one.end_ms:
            begun_ms, ended_ms = max(other.start_ms, one.start_ms), min(other.end_ms, one.end_ms)
            if begun_ms < ended_ms:
                if reached_ms < begun_ms:
                    yield reached_ms, begun_ms, one.price, None
                yield begun_ms, ended_ms, one.price, other.price
                reached_ms = ended_ms
            if other.end_ms > one.end_ms:
                break
            other = next(exports, None)
        if reached_ms < one.end_ms:
            yield reached_ms, one.end_ms, one.price, None


def _assigned_spans(
    assignments: Iterable[TariffAssignment], start_ms: int, end_ms: int
) -> Iterator[tuple[str, int, int]]:
    changes: list[tuple[int, str]] = []
    for assignment in sorted(assignments, key=_start_ms):
        if not changes or changes[-1][1] != assignment.tariff_id:
            changes.append((assignment.start_ms, assignment.tariff_id))
    for (begun_ms, tariff_id), (following_ms, _) in pairwise([*changes, (end_ms, "")]):
        span_start_ms, span_end_ms = max(begun_ms, start_ms), min(following_ms, end_ms)
        if tariff_id and span_start_ms < span_end_ms:
            yield tariff_id, span_start_ms, span_end_ms


def _start_ms(timed: TariffSegment | TariffAssignment) -> int:
    return timed.start_ms
