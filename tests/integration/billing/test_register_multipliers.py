"""A meter behind transformers is billed by its register times their ratio, from the instant on that somebody told."""

import grpc
import pytest
from energy.billing.v1 import validation_pb2
from energy.billing.v1 import validation_service_pb2 as pb
from energy.billing.v1.invoice_service_pb2 import PreviewInvoiceRequest
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER
from google.type.date_pb2 import Date
from google.type.decimal_pb2 import Decimal as DecimalMessage

from billing.log.kind_columns import LoggedReading
from billing.log.observation import Value
from billing.log.schema import METER
from billing.metering.meter_exchange_store import MeterExchangeStore
from billing.metering.register import MeterExchange
from common.instants import from_ms
from common.mongo import Database
from tests.integration.billing import pricing_mesh as pricing
from tests.integration.billing.pricing_mesh import MadeUpDevice, assign, at, error_of, flat_tariff, money
from tests.integration.billing.store import DEVICE
from tests.integration.billing.test_validation_service import DAY_MS, KWH, MONDAY_MS, QUARTER_MS, Door, door, log

# What the register goes on in a quarter-hour at the secondary side: 0.05 kWh.
STEP = 50_000


def multiplier(value: str, at_ms: int, register_kwh: float | None = None) -> validation_pb2.MeterExchange:
    """A multiplier from an instant on, with the value of the register then, if that is known."""
    return validation_pb2.MeterExchange(
        device_id=DEVICE,
        exchange_time=from_ms(at_ms),
        register_multiplier=DecimalMessage(value=value),
        actor="fitter-7",
        final_import_register_kwh=register_kwh,
        initial_import_register_kwh=register_kwh,
    )


def quarters(*, first: int = 0, end: int = 96, energy: int | None = None) -> list[LoggedReading]:
    """Quarter-hours of Monday with the register at their end, at 700 kWh at midnight, and with an energy if any."""
    some = []
    for place in range(first, end):
        values: list[Value] = [None] * len(METER.columns)
        values[METER.position("import_milliwatt_hours")] = energy
        values[METER.position("import_register_milliwatt_hours")] = 700 * KWH + (place + 1) * STEP
        at_ms = MONDAY_MS + place * QUARTER_MS
        some.append(LoggedReading("meter", DEVICE, at_ms, QUARTER_MS, 0, at_ms + QUARTER_MS, tuple(values)))
    return some


async def record(mesh: Door, *exchanges: validation_pb2.MeterExchange) -> None:
    """Puts them on record."""
    for one in exchanges:
        await mesh.stub.RecordMeterExchange(pb.RecordMeterExchangeRequest(exchange=one))


async def billed(database: Database, mesh: Door, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int, int]:
    """Energy, kWh, and amount, units and nanos, of Monday's bill at 6.00 a kWh."""
    device = MadeUpDevice(DEVICE, DEVICE_KIND_METER, "acc-9", "UTC")
    monkeypatch.setitem(pricing.DEVICES, DEVICE, device)
    async with pricing.pricing_mesh(database, mesh.store.usage) as prices:
        await assign(prices, DEVICE, flat_tariff("flat", money(6)), at("2026-01-01"))
        days = {"start_date": Date(year=2026, month=6, day=1), "end_date": Date(year=2026, month=6, day=2)}
        bill = (await prices.invoices.PreviewInvoice(PreviewInvoiceRequest(device_id=DEVICE, **days))).invoice
    (line,) = bill.lines
    return line.quantity.value, line.amount.units, line.amount.nanos


async def test_a_bill_is_the_register_times_its_multiplier(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """95 quarter-hours of 0.05 kWh times 40 are 190 kWh; at 6.00 they cost 1140.00."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters()))
        await record(mesh, multiplier("40", MONDAY_MS - DAY_MS))

        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert await billed(database, mesh, monkeypatch) == ("190", 1140, 0)


async def test_other_transformers_count_from_the_instant_they_were_put_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """39 quarter-hours by 40 and, from ten o'clock on, 56 by 30: 78 and 84 kWh are 162, which cost 972.00."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters()))
        await record(mesh, multiplier("40", MONDAY_MS - DAY_MS), multiplier("30", MONDAY_MS + 40 * QUARTER_MS))

        found = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert await billed(database, mesh, monkeypatch) == ("162", 972, 0)
        assert validation_pb2.VALIDATION_RULE_REGISTER not in {one.rule for one in found.exceptions}


async def test_a_multiplier_that_was_told_too_late_corrects_the_bill(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """95 times 0.05 kWh are 4.75, 28.50 in money; once it is told the day is validated again, and 1140.00."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters()))
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        await mesh.store.fold_everything()
        assert await billed(database, mesh, monkeypatch) == ("4.75", 28, 500_000_000)

        await record(mesh, multiplier("40", MONDAY_MS - DAY_MS))
        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        await mesh.store.fold_everything()

        assert await billed(database, mesh, monkeypatch) == ("190", 1140, 0)


async def test_missed_reads_are_billed_by_the_multiplied_register(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing came for ten quarter-hours: 190 kWh all the same, ten and the one after them as estimated."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters(end=30), *quarters(first=40)))
        await record(mesh, multiplier("40", MONDAY_MS - DAY_MS))

        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert await billed(database, mesh, monkeypatch) == ("190", 1140, 0)
        some = await mesh.store.usage.quarters(DEVICE, MONDAY_MS, MONDAY_MS + DAY_MS)
        assert sum(one.estimated_reading_count for one in some) == 11


async def test_intervals_are_held_against_the_multiplied_register(database: Database) -> None:
    """2 kWh a quarter-hour are 40 times 0.05: without the multiplier they do not add up, with it they do."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters(energy=2 * KWH)))

        before = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        await record(mesh, multiplier("40", MONDAY_MS - DAY_MS))
        after = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert validation_pb2.VALIDATION_RULE_SUM in {one.rule for one in before.exceptions}
        assert {one.rule for one in after.exceptions} == {validation_pb2.VALIDATION_RULE_FLAT_LINE}
        counting = await mesh.counting()
        assert {energy for energy, _ in counting.values()} == {2 * KWH}


async def test_a_change_between_two_reads_is_an_exception_and_no_usage(database: Database) -> None:
    """Nobody is billed by a register of which nobody knows how it stood then."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters()))
        between_ms = MONDAY_MS + 40 * QUARTER_MS + QUARTER_MS // 2
        await record(mesh, multiplier("40", between_ms))

        found = await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)
        counting = await mesh.counting()

        (wrong,) = [one for one in found.exceptions if one.rule == validation_pb2.VALIDATION_RULE_REGISTER]
        assert (wrong.start_time, wrong.end_time) == (
            from_ms(MONDAY_MS + 40 * QUARTER_MS),
            from_ms(MONDAY_MS + 41 * QUARTER_MS),
        )
        assert (counting[39][0], counting[40][0], counting[41][0]) == (STEP, None, 40 * STEP)


async def test_a_change_between_two_reads_is_billed_once_its_register_is_told(database: Database) -> None:
    """A fifth of the 0.05 kWh before it, once, and four fifths after it, by 40: 0.01 and 1.6 kWh."""
    async with door(database) as mesh:
        await mesh.store.take(log(*quarters()))
        between_ms = MONDAY_MS + 40 * QUARTER_MS + QUARTER_MS // 5
        await record(mesh, multiplier("40", between_ms, (700 * KWH + 40 * STEP + STEP // 5) / KWH))

        await mesh.validate(MONDAY_MS, MONDAY_MS + DAY_MS)

        assert (await mesh.counting())[40][0] == 1_610_000


async def test_what_was_told_is_listed_and_kept_with_its_decimals(database: Database) -> None:
    """Once for an instant; export registers have the same multiplier though nothing is said of them."""
    async with door(database) as mesh:
        told = multiplier("37.50", MONDAY_MS, 9.0)
        await record(mesh, told, told)

        (listed,) = (await mesh.stub.ListMeterExchanges(pb.ListMeterExchangesRequest(device_id=DEVICE))).exchanges

        assert listed.register_multiplier.value == "37.5"
        by_channel = await MeterExchangeStore(database).by_channel(DEVICE)
        assert {name: [one.multiplier for one in some] for name, some in by_channel.items()} == {
            "import": [37.5],
            "export": [37.5],
        }
        assert by_channel["export"] == [MeterExchange(MONDAY_MS, None, None, by_channel["export"][0].multiplier)]


@pytest.mark.parametrize("value", ["0", "-40", "1000000.001", "0.0005", "1e99", "forty", ""])
async def test_a_multiplier_that_cannot_be_is_refused(database: Database, value: str) -> None:
    """By its field."""
    async with door(database) as mesh:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await record(mesh, multiplier(value, MONDAY_MS))

        assert error_of(refused.value)[3] == ["exchange.register_multiplier"]
