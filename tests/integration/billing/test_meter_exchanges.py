"""A meter is exchanged under its device: recorded once, and its register is followed across that."""

import grpc
import pytest
from energy.billing.v1 import validation_pb2
from energy.billing.v1 import validation_service_pb2 as pb

from billing.log.kind_columns import LoggedReading
from billing.log.schema import METER
from billing.validation.validation_progress_store import Progress, ValidationProgressStore
from common.instants import from_ms
from common.mongo import Database
from tests.integration.billing.pricing_mesh import error_of
from tests.integration.billing.store import DEVICE
from tests.integration.billing.test_validation_service import DAY_MS, KWH, MONDAY_MS, QUARTER_MS, door, log

EXCHANGE_MS = MONDAY_MS + 40 * QUARTER_MS


def exchange(final_kwh: float = 5_010.0, initial_kwh: float = 0.0) -> validation_pb2.MeterExchange:
    """The exchange of the meter at ten on Monday morning."""
    return validation_pb2.MeterExchange(
        device_id=DEVICE,
        exchange_time=from_ms(EXCHANGE_MS),
        final_import_register_kwh=final_kwh,
        initial_import_register_kwh=initial_kwh,
        actor="fitter-7",
        note="A-1 by B-2",
    )


def quarters_with_register() -> list[LoggedReading]:
    """0.2 and 0.3 kWh in turn; the register of the old meter began at 5 000 kWh, that of the new one at 0.

    After 40 quarters, 20 times 0.5 kWh, the old one stands at 5 010. A register is read at the end of the interval.
    """
    some = []
    counted = 0
    for place in range(96):
        values: list[int | float | None] = [None] * len(METER.columns)
        energy = (2 + place % 2) * KWH // 10
        counted = energy if place == 40 else counted + energy
        values[METER.position("import_milliwatt_hours")] = energy
        values[METER.position("import_register_milliwatt_hours")] = counted + (5_000 * KWH if place < 40 else 0)
        at_ms = MONDAY_MS + place * QUARTER_MS
        some.append(LoggedReading("meter", DEVICE, at_ms, QUARTER_MS, 0, at_ms + QUARTER_MS, tuple(values)))
    return some


async def test_a_register_is_followed_across_a_recorded_exchange(database: Database) -> None:
    """Unrecorded, the fall of the register is a reset of unknown usage; recorded, all of the day adds up."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters_with_register()))
        await mesh.store.fold_everything()

        before = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        recorded = await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=exchange()))
        after = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert [one.rule for one in before.exceptions] == [validation_pb2.VALIDATION_RULE_REGISTER]
        assert list(after.exceptions) == []
        assert recorded.exchange.record_time.seconds > 0


async def test_what_the_old_meter_counted_to_its_end_is_part_of_the_sum(database: Database) -> None:
    """A final value 2 kWh above what the intervals say is found: they do not add up to the register."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters_with_register()))
        await mesh.store.fold_everything()
        await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=exchange(final_kwh=5_012.0)))

        found = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert found.exceptions
        assert {one.rule for one in found.exceptions} <= {
            validation_pb2.VALIDATION_RULE_REGISTER,
            validation_pb2.VALIDATION_RULE_SUM,
        }


async def test_an_exchange_is_recorded_once_and_never_changed(database: Database) -> None:
    """The same call again answers what is on record; another exchange at the instant is refused."""
    async with door(database) as mesh:
        first = await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=exchange()))
        mesh.store.clock.advance_ms(60_000)
        again = await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=exchange()))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=exchange(initial_kwh=1.0)))
        listed = await mesh.stub.ListMeterExchanges(pb.ListMeterExchangesRequest(device_id=DEVICE))

        assert again == first
        assert list(listed.exchanges) == [first.exchange]
        assert error_of(refused.value)[:2] == (grpc.StatusCode.ALREADY_EXISTS, "METER_EXCHANGE_EXISTS")


async def test_what_is_wrong_with_an_exchange_is_named(database: Database) -> None:
    """One register of a pair, a value below zero, no actor, the future."""
    wrong = exchange()
    wrong.ClearField("initial_import_register_kwh")
    wrong.final_export_register_kwh = -1
    wrong.initial_export_register_kwh = 0
    wrong.actor = ""
    wrong.exchange_time.CopyFrom(from_ms(MONDAY_MS * 2))
    async with door(database) as mesh:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=wrong))

        fields = set(error_of(refused.value)[3])
        assert fields == {
            "exchange.actor",
            "exchange.exchange_time",
            "exchange.initial_import_register_kwh",
            "exchange.final_export_register_kwh",
        }


async def test_days_behind_an_exchange_are_validated_again_by_themselves(database: Database) -> None:
    """They were judged by the register of the old meter."""
    async with door(database) as mesh:
        progress = ValidationProgressStore(database)
        await progress.move_on(DEVICE, None, MONDAY_MS + 5 * DAY_MS, is_done=True)

        await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=exchange()))

        assert await progress.find_set_back(10) == {DEVICE: Progress(MONDAY_MS, 1)}
