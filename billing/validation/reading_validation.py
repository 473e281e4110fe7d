"""Validation and estimation of a meter's days: reads what is on record, puts on record what follows."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from operator import itemgetter
from zoneinfo import ZoneInfo

from billing.cold.day import day_of
from billing.cold.quarantine_store import QuarantineStore
from billing.cold.sealed_day_store import SealedDayStore
from billing.cold.span import readings_of
from billing.cold.usage_pipeline import UsageQuery
from billing.log.computed_readings import ComputedReadings
from billing.log.schema import DAY_MS, HOUR_MS, METER
from billing.metering.estimation import LIKE_DAYS, LINEAR_LONGEST_MS
from billing.metering.meter_exchange_store import MeterExchangeStore
from billing.metering.meter_facts import MeterFacts
from billing.metering.reading_conflicts import conflict_findings, quarantine_findings
from billing.metering.reading_exception_store import ReadingExceptionStore
from billing.metering.reading_series import TimedReading
from billing.metering.register_energy import (
    KnownReading,
    energy_by_register,
    lacks_register_before,
    readings_with_rivals,
)
from billing.metering.validation_rule import Finding, ValidationThresholds
from billing.usage.usage_store import UsageStore
from billing.validation.estimation_plan import EstimationPlan
from billing.validation.validation_checks import usage_level
from billing.validation.window_validation import failed_starts_ms, findings_of
from common.local_time import LocalDay, local_day_of, local_days

# A line may need a neighbour this far outside of the day; a zero run of a day is seen from its beginning.
_BEFORE_MS = 25 * HOUR_MS
_LIKE_DAYS_MS = LIKE_DAYS * DAY_MS
_PRIOR_PERIOD_MS = 30 * DAY_MS
# 52 weeks, so that a Sunday is compared with the days around a Sunday.
_SAME_DAY_LAST_YEAR_MS = 364 * DAY_MS


@dataclass(frozen=True, slots=True)
class ValidatedWindow:
    """What came of validating: the days it was over, what was found in them, how many readings were estimated.

    The days are [start_ms, end_ms), epoch milliseconds.
    """

    start_ms: int
    end_ms: int
    findings: Sequence[Finding]
    estimated_reading_count: int


class ReadingValidation:
    """Runs the rules over a meter's days; doing it again, or two at once, changes nothing more."""

    def __init__(
        self,
        *,
        usage: UsageStore,
        sealed: SealedDayStore,
        computed: ComputedReadings,
        exceptions: ReadingExceptionStore,
        exchanges: MeterExchangeStore,
        quarantine: QuarantineStore,
        clock_ms: Callable[[], int],
        thresholds: ValidationThresholds,
        holidays: Collection[date] = (),
    ) -> None:
        self._usage = usage
        self._sealed = sealed
        self._computed = computed
        self._exceptions = exceptions
        self._exchanges_on_record = exchanges
        self._quarantine = quarantine
        self._clock_ms = clock_ms
        self._thresholds = thresholds
        self._holidays = holidays

    async def validate(self, meter: MeterFacts, start_ms: int, end_ms: int, *, estimate: bool) -> ValidatedWindow:
        """Validates the local days that [start_ms, end_ms) touches, and estimates what is missing in them if told to.

        Whole days, and only such as have ended and whose readings were not removed.

        Raises:
            pymongo.errors.PyMongoError: the store failed; doing it again is safe.
        """
        meter = replace(meter, exchanges=await self._exchanges_on_record.by_channel(meter.device_id))
        zone = ZoneInfo(meter.time_zone)
        first, last = local_day_of(start_ms, zone), local_day_of(end_ms - 1, zone)
        now_ms = self._clock_ms()
        days = [day for day in (*local_days(first.day, last.day, zone), last) if day.end_ms <= now_ms]
        sealed = await self._sealed.find(METER, meter.device_id, first.start_ms - 2 * _LIKE_DAYS_MS, last.end_ms)
        aside = quarantine_findings(meter.device_id, await self._quarantine.find(meter.device_id))
        findings: list[Finding] = []
        count = 0
        for day in days:
            if any(at_ms < day.end_ms and at_ms + DAY_MS > day.start_ms for at_ms in sealed):
                continue
            # Before estimates, for these rest on it.
            known = await self._with_register_before(meter, day)
            readings = await self._with_energy_by_register(meter, day, known, sealed)
            if estimate and (estimated := await self._estimate(meter, day, sealed)):
                count += estimated
                readings = await self._readings(meter, day.start_ms - _before_ms(meter), day.end_ms)
            also = [*aside, *conflict_findings(known, day.start_ms, day.end_ms)]
            found = await self._check(meter, day, readings, also)
            await self._exceptions.replace(meter.device_id, day.start_ms, day.end_ms, found, now_ms)
            findings += found
        reached_ms = days[-1].end_ms if days else first.start_ms
        return ValidatedWindow(first.start_ms, reached_ms, findings, count)

    async def _with_register_before(self, meter: MeterFacts, day: LocalDay) -> list[KnownReading]:
        """The readings of a day, and so many before it that its registers have one before them."""
        start_ms = day.start_ms - _before_ms(meter)
        known = await self._with_rivals(meter, start_ms, day.end_ms)
        if lacks_register_before(known, day.start_ms):
            # Reads are missing, or the meter is new.
            known = await self._with_rivals(meter, day.start_ms - _LIKE_DAYS_MS, start_ms) + known
        return known

    async def _with_energy_by_register(
        self, meter: MeterFacts, day: LocalDay, known: Sequence[KnownReading], sealed: Collection[int]
    ) -> list[TimedReading]:
        """The readings of a day, and of a while before, once what follows from registers is on record."""
        made = await asyncio.to_thread(energy_by_register, meter, known, day.start_ms)
        made = [one for one in made if day_of(one.start_ms) not in sealed]
        if not made:
            return [(one.start_ms, one.counting) for one in known]
        await self._computed.append(made)
        return await self._readings(meter, day.start_ms - _before_ms(meter), day.end_ms)

    async def _with_rivals(self, meter: MeterFacts, start_ms: int, end_ms: int) -> list[KnownReading]:
        return [
            one
            async for key, span in self._usage.spans(METER, meter.device_id, start_ms, end_ms)
            for one in readings_with_rivals(key, span, start_ms, end_ms)
        ]

    async def _check(
        self, meter: MeterFacts, day: LocalDay, readings: Sequence[TimedReading], also: Iterable[Finding]
    ) -> list[Finding]:
        found = await asyncio.to_thread(
            findings_of, meter, readings, day.start_ms, day.end_ms, self._thresholds, also=also
        )
        return found + await self._usage_level(meter, day)

    async def _usage_level(self, meter: MeterFacts, day: LocalDay) -> list[Finding]:
        by_day = await self._import_by_day(meter, day.start_ms - _PRIOR_PERIOD_MS, day.end_ms)
        today = by_day.pop(day.start_ms, None)
        if today is None:
            return []
        year_ago_ms = day.start_ms - _SAME_DAY_LAST_YEAR_MS
        last_year = await self._import_by_day(meter, year_ago_ms - 3 * DAY_MS, year_ago_ms + 4 * DAY_MS)
        compared = last_year or by_day
        if not compared:
            return []
        average = sum(compared.values()) / len(compared)
        found = usage_level(today, average, day.start_ms, day.end_ms, self._thresholds)
        return [finding._replace(channel="import") for finding in found]

    async def _import_by_day(self, meter: MeterFacts, start_ms: int, end_ms: int) -> dict[int, int]:
        query = UsageQuery(METER, meter.device_id, start_ms, end_ms, "local_day", meter.time_zone)
        name = METER.summed[0]
        return {at_ms: one.energies[name] for at_ms, one in await self._usage.intervals(query) if name in one.energies}

    async def _estimate(self, meter: MeterFacts, day: LocalDay, sealed: Collection[int]) -> int:
        """Estimates what is missing on a day, and anew what was before it and only now has a register after it."""
        plan = await self._plan_of(meter, day)
        if plan is None:
            return 0
        start_ms = plan.settled_from_ms(day.start_ms, day.end_ms)
        found = await asyncio.to_thread(plan.estimates, start_ms, day.end_ms, self._clock_ms())
        # What was removed cannot be folded into any more.
        estimates = [one for one in found if day_of(one.start_ms) not in sealed]
        await self._computed.append(estimates)
        return len(estimates)

    async def _plan_of(self, meter: MeterFacts, day: LocalDay) -> EstimationPlan | None:
        """From as much as the estimates of a day rest on, whichever day it is looked at from; None: nothing is missing.

        So whole days are judged, and a gap that goes on over midnight has the same estimates from both of its days.
        """
        window = (day.start_ms, day.end_ms)
        from_ms, to_ms = day.start_ms - _before_ms(meter), day.end_ms + LINEAR_LONGEST_MS + meter.interval_ms
        readings = await self._readings(meter, from_ms, to_ms)
        plan = await asyncio.to_thread(self._plan, meter, readings)
        # Without a reading before it, a gap may have begun earlier than what was read.
        is_known_before = bool(readings) and readings[0][0] <= day.start_ms
        is_whole = is_known_before and not plan.lacks_earlier_register(*window)
        if is_whole and not plan.gaps(plan.settled_from_ms(*window), day.end_ms):
            return None
        ends_ms = local_day_of(to_ms, ZoneInfo(meter.time_zone)).end_ms
        readings += await self._readings(meter, to_ms, ends_ms)
        while (wanted_ms := plan.settled_from_ms(*window) - _LIKE_DAYS_MS - 2 * DAY_MS) < from_ms:
            readings = await self._readings(meter, wanted_ms, from_ms) + readings
            from_ms = wanted_ms
            plan = await asyncio.to_thread(self._plan, meter, readings)
        further_ms = DAY_MS
        while plan.lacks_later_register(plan.settled_from_ms(*window), day.end_ms) and further_ms <= _LIKE_DAYS_MS:
            # A day that is read in part could be judged otherwise than whole.
            reached_ms = local_day_of(ends_ms + further_ms, ZoneInfo(meter.time_zone)).start_ms
            readings += await self._readings(meter, ends_ms, reached_ms)
            ends_ms, further_ms = reached_ms, further_ms * 2
            plan = await asyncio.to_thread(self._plan, meter, readings)
        return plan

    def _plan(self, meter: MeterFacts, readings: Sequence[TimedReading]) -> EstimationPlan:
        if not readings:
            return EstimationPlan(meter, readings, (), self._holidays)
        first_ms, (last_ms, last) = readings[0][0], readings[-1]
        findings: list[Finding] = []
        zone = ZoneInfo(meter.time_zone)
        days = local_days(local_day_of(first_ms, zone).day, local_day_of(last_ms + DAY_MS, zone).day, zone)
        for day in days:
            start_ms, end_ms = max(day.start_ms, first_ms), min(day.end_ms, last_ms + last.interval_ms)
            first, end = (bisect_left(readings, at_ms, key=itemgetter(0)) for at_ms in (start_ms, end_ms))
            if first < end:
                findings += findings_of(meter, readings[first:end], start_ms, end_ms, self._thresholds)
        return EstimationPlan(meter, readings, failed_starts_ms(findings, readings), self._holidays)

    async def _readings(self, meter: MeterFacts, start_ms: int, end_ms: int) -> list[TimedReading]:
        return [
            (at_ms, observation)
            async for key, span in self._usage.spans(METER, meter.device_id, start_ms, end_ms)
            for at_ms, observation, superseded in readings_of(key, span, start_ms, end_ms)
            if not superseded
        ]


def _before_ms(meter: MeterFacts) -> int:
    # The register before the first interval of a day was read when that began, and stands in the reading before it.
    return max(_BEFORE_MS, meter.interval_ms + HOUR_MS)
