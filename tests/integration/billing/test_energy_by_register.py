"""A meter that sends its register only has usage and quarter-hours to bill once its day is validated."""

from energy.billing.v1 import validation_pb2

from billing.log.kind_columns import LoggedReading
from billing.log.observation import Value
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import METER
from billing.metering.meter_facts import MeterFacts
from common.mongo import Database
from tests.integration.billing.store import DEVICE
from tests.integration.billing.test_validation_service import DAY_MS, KWH, MONDAY_MS, QUARTER_MS, Door, door, log

# Tenths of a kilowatt-hour, as the register shows.
ENERGIES = [2 + place % 3 for place in range(96)]
REGISTERS = [50_000 + sum(ENERGIES[: place + 1]) for place in range(96)]
TENTH = KWH // 10


def of_register(place: int, register: int, revision: int = 0) -> LoggedReading:
    """What the meter sends for a quarter-hour of Monday: how its register stands at the end."""
    values: list[Value] = [None] * len(METER.columns)
    values[METER.position("import_register_milliwatt_hours")] = register * TENTH
    at_ms = MONDAY_MS + place * QUARTER_MS
    return LoggedReading("meter", DEVICE, at_ms, QUARTER_MS, revision, at_ms + QUARTER_MS, tuple(values))


async def billed(mesh: Door) -> dict[int, float]:
    """Import of the quarter-hours of Monday that a bill would rest on, in tenths of a kWh."""
    return {
        (one.start_ms - MONDAY_MS) // QUARTER_MS: one.import_milliwatt_hours / TENTH
        for one in await mesh.store.usage.quarters(DEVICE, MONDAY_MS, MONDAY_MS + DAY_MS)
        if one.import_milliwatt_hours is not None
    }


async def test_a_register_alone_becomes_usage_when_its_day_is_validated(database: Database) -> None:
    """Every quarter-hour with a read before it; validating again, and folding, adds nothing."""
    async with door(database) as mesh:
        await mesh.store.take(log(*[of_register(place, register) for place, register in enumerate(REGISTERS)]))
        await mesh.store.fold_everything()
        assert await billed(mesh) == {}

        first = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        before_folding = await billed(mesh)
        await mesh.store.fold_everything()
        again = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert before_folding == await billed(mesh) == dict(list(enumerate(ENERGIES))[1:])
        assert list(first.exceptions) == list(again.exceptions)
        assert await mesh.store.log.unmerged_ids() == []
        counting = await mesh.counting()
        assert counting[1] == (ENERGIES[1] * TENTH, ReadingQuality.REGISTER_DIFFERENCE)


async def test_a_corrected_register_changes_the_usage_on_both_sides(database: Database) -> None:
    """A tenth of a kilowatt-hour moves from one quarter-hour to the other."""
    async with door(database) as mesh:
        await mesh.store.take(log(*[of_register(place, register) for place, register in enumerate(REGISTERS)]))
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        await mesh.store.fold_everything()

        await mesh.store.take(log(of_register(40, REGISTERS[40] - 1, revision=1)))
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        await mesh.store.fold_everything()

        found_billed = await billed(mesh)
        assert (found_billed[40], found_billed[41]) == (ENERGIES[40] - 1, ENERGIES[41] + 1)
        assert sum(found_billed.values()) == sum(ENERGIES[1:])


async def test_a_register_that_fell_is_an_exception_and_no_usage(database: Database) -> None:
    """Nobody is billed by a register that was reset."""
    async with door(database) as mesh:
        fallen = [*REGISTERS[:50], *(register - 50_000 for register in REGISTERS[50:])]
        await mesh.store.take(log(*[of_register(place, register) for place, register in enumerate(fallen)]))

        found = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert validation_pb2.VALIDATION_RULE_REGISTER in {one.rule for one in found.exceptions}
        found_billed = await billed(mesh)
        assert 50 not in found_billed
        assert len(found_billed) == 94


async def test_reads_may_be_a_week_apart(database: Database) -> None:
    """The register before an interval stands in the reading before it, however long ago that began."""
    async with door(database) as mesh:
        week_ms = 7 * DAY_MS
        earlier, later = (
            of_register(0, register)._replace(start_ms=at_ms, interval_ms=week_ms)
            for at_ms, register in ((MONDAY_MS - week_ms, 50_000), (MONDAY_MS, 50_070))
        )
        await mesh.store.take(log(earlier, later))
        facts = MeterFacts(DEVICE, week_ms, "UTC", 10.0, 0)

        await mesh.validation.validate(facts, MONDAY_MS, MONDAY_MS + DAY_MS, estimate=False)

        assert await billed(mesh) == {0: 70}


async def test_a_missed_read_over_midnight_is_in_the_bill(database: Database) -> None:
    """From Monday 22:00 to Wednesday 03:00 nothing came: what the register went on is billed, as estimated."""
    async with door(database) as mesh:
        came = [*range(88), *range(2 * 96 + 12, 3 * 96)]
        await mesh.store.take(log(*[of_register(place, 50_000 + 3 * place) for place in came]))
        await mesh.validate(MONDAY_MS, MONDAY_MS + 3 * DAY_MS)
        await mesh.store.fold_everything()
        written = await database["readings_log"].count_documents({})
        await mesh.validate(MONDAY_MS, MONDAY_MS + 3 * DAY_MS)

        quarters = await mesh.store.usage.quarters(DEVICE, MONDAY_MS, MONDAY_MS + 3 * DAY_MS)
        billed_tenths = [(one.import_milliwatt_hours or 0) / TENTH for one in quarters]
        assert billed_tenths == [0, *[3.0] * (3 * 96 - 1)]
        assert sum(one.estimated_reading_count for one in quarters) == 96 + 8 + 12 + 1
        assert await database["readings_log"].count_documents({}) == written
        assert {one.rule for one in await mesh.exceptions() if not one.HasField("resolved_time")} <= {
            validation_pb2.VALIDATION_RULE_FLAT_LINE,
            validation_pb2.VALIDATION_RULE_LOW_USAGE,
            validation_pb2.VALIDATION_RULE_HIGH_USAGE,
        }
