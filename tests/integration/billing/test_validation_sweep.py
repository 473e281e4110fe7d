"""Days are validated by themselves when they have ended, and again when something late has changed them."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from billing.cold.roller import Roller, RollerMetrics
from billing.log.kind_columns import LoggedReading
from billing.log.observation import SpanKey
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import METER
from billing.validation.validation_progress_store import Progress, ValidationProgressStore
from billing.validation.validation_sweep import Registry, SweepMetrics, ValidationSweep
from common.errors import DependencyUnavailable, DeviceNotFound
from common.mongo import Database
from common.registry_cache import CachedDevice
from tests.integration.billing.store import DEVICE
from tests.integration.billing.test_from_queue_to_log import eventually
from tests.integration.billing.test_validation_service import (
    DAY_MS,
    KWH,
    MONDAY_MS,
    QUARTER_MS,
    Door,
    OneDevice,
    door,
    energy_of,
    log,
    quarter,
)

HOUR_MS = 3_600_000
LIMIT_SECONDS = 30
WEDNESDAY_MS = MONDAY_MS + 2 * DAY_MS


async def no_waiting(_: float) -> None:
    """Nobody else wants the store."""


class AwayRegistry:
    """A registry that does not answer so many times, and then does."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.answered = asyncio.Event()

    async def find(self, device_id: str) -> CachedDevice:
        """The device, if the registry is back."""
        if self.failures:
            self.failures -= 1
            raise DependencyUnavailable("gateway")
        self.answered.set()
        return await OneDevice().find(device_id)


class NoRegistry:
    """A registry without devices."""

    async def find(self, device_id: str) -> CachedDevice:
        """Never finds one."""
        raise DeviceNotFound(device_id)


def sweep_of(
    mesh: Door, progress: ValidationProgressStore, *, estimate: bool = False, registry: Registry | None = None
) -> ValidationSweep:
    """What runs in the background, to be stepped by hand."""
    return ValidationSweep(
        validation=mesh.validation,
        progress=progress,
        live=mesh.store.live,
        registry=registry or OneDevice(),
        complete_through=mesh.store.clock,
        estimate=estimate,
        give_way=no_waiting,
        clock_ms=mesh.store.clock,
        metrics=SweepMetrics(CollectorRegistry()),
        rest_per_work=0.0,
    )


def roller_of(mesh: Door, progress: ValidationProgressStore) -> Roller:
    """What makes changed days again."""
    return Roller(
        days=mesh.store.days,
        live=mesh.store.live,
        metrics=RollerMetrics(CollectorRegistry()),
        give_way=no_waiting,
        on_change=progress.day_changed,
        rest_per_work=0.0,
        clock_ms=mesh.store.clock,
    )


async def two_days_without(mesh: Door, lost: set[int]) -> None:
    """Monday and Tuesday, and some hours of Wednesday, but for some quarters of an hour; it is Wednesday, 02:00."""
    mesh.store.clock.at_ms = WEDNESDAY_MS + 2 * HOUR_MS
    await mesh.store.take(log(*[quarter(place, energy_of(place)) for place in range(200) if place not in lost]))
    await mesh.store.fold_everything()


async def test_a_day_is_validated_once_and_again_after_a_late_reading(database: Database) -> None:
    """The gap of Tuesday is found by itself, and resolved by itself when what was missing has come."""
    async with door(database) as mesh:
        progress = ValidationProgressStore(database)
        sweep, roller = sweep_of(mesh, progress), roller_of(mesh, progress)
        await two_days_without(mesh, {100, 101})

        await sweep.sweep()

        (gap,) = await mesh.exceptions()
        assert gap.start_time.seconds * 1000 == MONDAY_MS + 100 * QUARTER_MS
        assert await progress.find([DEVICE]) == {DEVICE: Progress(WEDNESDAY_MS, 0)}
        assert not await sweep.validate_changed()

        await mesh.store.take(log(*[quarter(place, energy_of(place)) for place in (100, 101)]))
        await mesh.store.fold_everything()
        mesh.store.clock.advance_ms(15 * 60_000)
        assert await roller.make_due()
        assert await sweep.validate_changed()

        (gap,) = await mesh.exceptions()
        assert gap.HasField("resolved_time")
        assert not await sweep.validate_changed()


async def test_a_day_is_not_validated_before_what_comes_late_is_known(database: Database) -> None:
    """At half past midnight a reading of the evening may still be on its way; at one the day stands."""
    async with door(database) as mesh:
        sweep = sweep_of(mesh, ValidationProgressStore(database))
        await two_days_without(mesh, {100})
        mesh.store.clock.at_ms = WEDNESDAY_MS + HOUR_MS - 1

        await sweep.sweep()
        assert await mesh.exceptions() == []

        mesh.store.clock.advance_ms(1)
        await sweep.sweep()
        assert len(await mesh.exceptions()) == 1


async def test_estimates_are_made_when_asked_for_and_settle(database: Database) -> None:
    """What they change is validated once more, and then nothing changes any more."""
    async with door(database) as mesh:
        progress = ValidationProgressStore(database)
        sweep, roller = sweep_of(mesh, progress, estimate=True), roller_of(mesh, progress)
        await two_days_without(mesh, {100, 101})

        await sweep.sweep()
        rounds = 0
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                await mesh.store.fold_everything()
                mesh.store.clock.advance_ms(15 * 60_000)
                await roller.make_due()
                if not await sweep.validate_changed():
                    break
                rounds += 1

        assert rounds == 1
        assert await mesh.exceptions() == []
        assert len([quality for _, quality in (await mesh.counting()).values() if quality]) == 2


async def settled(mesh: Door, sweep: ValidationSweep, roller: Roller) -> int:
    """Lets everything that follows from a change follow; returns how many rounds that took."""
    rounds = 0
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            await mesh.store.fold_everything()
            mesh.store.clock.advance_ms(15 * 60_000)
            await roller.make_due()
            if not await sweep.validate_changed():
                return rounds
            rounds += 1


# The register as a meter sends it: with every reading, or once a day at noon.
@pytest.mark.parametrize("every", [1, 96])
async def test_a_gap_over_midnight_is_billed_as_its_register_says(database: Database, every: int) -> None:
    """From Thursday 20:00 to Friday 06:00: estimated before the later read is there, and met as soon as it is."""
    async with door(database) as mesh:
        progress = ValidationProgressStore(database)
        sweep, roller = sweep_of(mesh, progress, estimate=True), roller_of(mesh, progress)
        used = {place: energy_of(place) + (90_000 if 3 * 96 + 80 <= place < 4 * 96 + 24 else 0) for place in range(490)}
        sent = [
            with_register(quarter(place, used[place]), sum(used[before] for before in range(place + 1)))
            if place % every == min(48, every - 1)
            else quarter(place, used[place])
            for place in used
            if used[place] == energy_of(place)
        ]
        thursday_ms = MONDAY_MS + 3 * DAY_MS
        await mesh.store.take(log(*[one for one in sent if one.start_ms < thursday_ms + DAY_MS]))
        mesh.store.clock.at_ms = thursday_ms + DAY_MS + 2 * HOUR_MS
        await mesh.store.fold_everything()
        await progress.move_on(DEVICE, None, thursday_ms, is_done=True)
        await sweep.sweep()
        await settled(mesh, sweep, roller)
        assert (await mesh.counting())[3 * 96 + 90] == (energy_of(90), ReadingQuality.REFERENCE_DAYS)

        await mesh.store.take(log(*[one for one in sent if one.start_ms >= thursday_ms + DAY_MS]))
        mesh.store.clock.at_ms = thursday_ms + 2 * DAY_MS + 2 * HOUR_MS
        await mesh.store.fold_everything()
        await sweep.sweep()
        assert await settled(mesh, sweep, roller) <= 3

        quarters = await mesh.store.usage.quarters(DEVICE, thursday_ms, thursday_ms + 2 * DAY_MS)
        assert sum(one.import_milliwatt_hours or 0 for one in quarters) == sum(
            energy for place, energy in used.items() if 3 * 96 <= place < 5 * 96
        )
        assert [one.rule for one in await mesh.exceptions() if not one.HasField("resolved_time")] == []


def with_register(reading: LoggedReading, register: int) -> LoggedReading:
    """The reading with how the import register stands at its end."""
    values = list(reading.values)
    values[METER.position("import_register_milliwatt_hours")] = 50 * KWH + register
    return reading._replace(values=tuple(values))


async def test_a_change_while_a_day_is_validated_is_not_lost(database: Database) -> None:
    """Who has read how far a meter is cannot move it on over a change that came since."""
    progress = ValidationProgressStore(database)
    await progress.move_on(DEVICE, None, WEDNESDAY_MS, is_done=True)
    read = (await progress.find([DEVICE]))[DEVICE]

    await progress.set_back(DEVICE, WEDNESDAY_MS + DAY_MS)

    assert not await progress.move_on(DEVICE, read, WEDNESDAY_MS + 2 * DAY_MS, is_done=True)
    assert await progress.find_set_back(10) == {DEVICE: Progress(WEDNESDAY_MS, 1)}


async def test_validation_goes_on_when_the_registry_is_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway may restart at any time; that must not end the task, and with it the service."""
    monkeypatch.setattr("billing.validation.validation_sweep._RETRY_SECONDS", 0.0)
    async with door(database) as mesh:
        registry = AwayRegistry(2)
        progress = ValidationProgressStore(database)
        await two_days_without(mesh, {100})

        async def found_something() -> bool:
            return bool(await mesh.exceptions())

        running = asyncio.create_task(sweep_of(mesh, progress, registry=registry).run())
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await registry.answered.wait()
            await eventually(found_something)
        finally:
            running.cancel()

        assert registry.failures == 0


async def test_a_meter_that_cannot_be_judged_holds_up_nobody(database: Database) -> None:
    """One whose registration is gone would come first at every look, and the others would never have their turn."""
    async with door(database) as mesh:
        progress = ValidationProgressStore(database)
        await two_days_without(mesh, {100})
        await progress.set_back(DEVICE, MONDAY_MS)

        assert await sweep_of(mesh, progress, registry=NoRegistry()).validate_changed()

        assert await progress.find_set_back(10) == {}
        assert await progress.find([DEVICE]) == {DEVICE: Progress(MONDAY_MS, 1)}


async def test_days_of_a_long_absence_are_validated_month_by_month_without_waiting(database: Database) -> None:
    """Forty days that come at once are more than one step takes; the next step follows, not the next sweep."""
    async with door(database) as mesh:
        progress = ValidationProgressStore(database)
        sweep = sweep_of(mesh, progress)
        end = 40 * 96
        mesh.store.clock.at_ms = MONDAY_MS + 40 * DAY_MS + 2 * HOUR_MS
        await mesh.store.take(log(quarter(0, energy_of(0)), quarter(end - 1, energy_of(end - 1))))
        await mesh.store.fold_everything()
        await progress.move_on(DEVICE, None, MONDAY_MS, is_done=True)

        await sweep.sweep()
        assert await sweep.validate_changed()
        assert not await sweep.validate_changed()

        assert (await progress.find([DEVICE]))[DEVICE].through_ms == MONDAY_MS + 40 * DAY_MS


async def test_a_day_whose_fold_is_on_its_way_is_not_validated_again_and_again(database: Database) -> None:
    """It is put off, and told when it is made: a span set aside for ever would cost a validation every ten minutes."""
    async with door(database) as mesh:
        progress = ValidationProgressStore(database)
        sweep, roller = sweep_of(mesh, progress), roller_of(mesh, progress)
        await two_days_without(mesh, set())
        mesh.store.clock.advance_ms(15 * 60_000)
        async with asyncio.timeout(LIMIT_SECONDS):
            while await roller.make_due() or await sweep.validate_changed():
                pass
        # Somebody says that a version will be written, and dies.
        await mesh.store.days.announce(METER, [(SpanKey("meter", DEVICE, MONDAY_MS), 99)])
        mesh.store.clock.advance_ms(15 * 60_000)

        assert await roller.make_due()

        assert await progress.find_set_back(10) == {}
