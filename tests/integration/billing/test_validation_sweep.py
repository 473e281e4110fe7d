"""Days are validated by themselves when they have ended, and again when something late has changed them."""

from prometheus_client import CollectorRegistry

from billing.roller import Roller, RollerMetrics
from billing.validation_progress_store import Progress, ValidationProgressStore
from billing.validation_sweep import SweepMetrics, ValidationSweep
from common.mongo import Database
from tests.integration.billing.store import DEVICE
from tests.integration.billing.test_validation_service import (
    DAY_MS,
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
WEDNESDAY_MS = MONDAY_MS + 2 * DAY_MS


async def no_waiting(_: float) -> None:
    """Nobody else wants the store."""


def sweep_of(mesh: Door, progress: ValidationProgressStore, *, estimate: bool = False) -> ValidationSweep:
    """What runs in the background, to be stepped by hand."""
    return ValidationSweep(
        validation=mesh.validation,
        progress=progress,
        live=mesh.store.live,
        registry=OneDevice(),
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


async def test_a_change_while_a_day_is_validated_is_not_lost(database: Database) -> None:
    """Who has read how far a meter is cannot move it on over a change that came since."""
    progress = ValidationProgressStore(database)
    await progress.move_on(DEVICE, None, WEDNESDAY_MS, is_done=True)
    read = (await progress.find([DEVICE]))[DEVICE]

    await progress.set_back(DEVICE, WEDNESDAY_MS + DAY_MS)

    assert not await progress.move_on(DEVICE, read, WEDNESDAY_MS + 2 * DAY_MS, is_done=True)
    assert await progress.find_set_back(10) == {DEVICE: Progress(WEDNESDAY_MS, 1)}
