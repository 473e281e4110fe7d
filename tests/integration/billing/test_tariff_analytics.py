"""What a tariff brings in and who has it, over real gRPC: by kind of charge, in pages, as of a day."""

import grpc
import pytest
from energy.billing.v1.tariff_pb2 import TariffAssignment
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, GetTariffAnalyticsRequest
from google.type.date_pb2 import Date

from common.mongo import Database
from tests.integration.billing.invoice_calls import generate, issue
from tests.integration.billing.pricing_mesh import BY_CLOCK, assign, at, error_of, flat_tariff, money, pricing_mesh
from tests.integration.billing.test_invoice_service import steady, utc_ms

FEBRUARY = {"start_date": Date(year=2026, month=2, day=1), "end_date": Date(year=2026, month=3, day=1)}
EARLIER = {"start_date": Date(year=2025, month=12, day=1), "end_date": Date(year=2026, month=1, day=10)}


async def test_a_tariff_tells_who_has_it_and_what_was_billed_by_kind(database: Database) -> None:
    """A meter in Berlin at 1 kW all January, by the clock until the 17th and at a flat price of 0.10 from then on.

    The flat days are 15, 360 kWh: 36.00 and 18 %. The site of the meter in New York gets the
    flat one, too, in the middle of January.
    """
    async with pricing_mesh(database) as mesh:
        await assign(mesh, "meter-berlin", BY_CLOCK, at("2025-01-01"))
        await assign(mesh, "meter-berlin", flat_tariff("flat", money(0, 100_000_000)), at("2026-01-16T23:00"))
        of_site = TariffAssignment(site_id="site-1", tariff_id="flat", start_time=at("2026-01-15"))
        await mesh.tariffs.AssignTariff(AssignTariffRequest(assignment=of_site))
        mesh.readings.of_device["meter-berlin"] = steady("2025-12-31T23:00", "2026-01-31T23:00", 250_000)
        mesh.clock.now_ms = mesh.complete_through.latest_ms = utc_ms("2026-02-03T12:00")
        await generate(mesh)
        (bill,) = (await issue(mesh)).bills

        clocked, flat = (await mesh.tariffs.GetTariffAnalytics(GetTariffAnalyticsRequest(**FEBRUARY))).tariffs
        first = await mesh.tariffs.GetTariffAnalytics(GetTariffAnalyticsRequest(page_size=1, **FEBRUARY))
        rest = await mesh.tariffs.GetTariffAnalytics(
            GetTariffAnalyticsRequest(page_token=first.next_page_token, **FEBRUARY)
        )
        (before,) = (
            await mesh.tariffs.GetTariffAnalytics(GetTariffAnalyticsRequest(tariff_id="by-clock", **EARLIER))
        ).tariffs
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await mesh.tariffs.GetTariffAnalytics(GetTariffAnalyticsRequest(tariff_id="?"))
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await mesh.tariffs.GetTariffAnalytics(GetTariffAnalyticsRequest(tariff_id="none", **FEBRUARY))

    assert (flat.tariff_id, flat.assigned_device_count, flat.assigned_account_count) == ("flat", 2, 2)
    assert (flat.energy_kwh.value, flat.energy, flat.tax) == ("360", money(36), money(6, 480_000_000))
    assert (flat.billed, flat.average_price_per_kwh) == (money(42, 480_000_000), money(0, 100_000_000))
    assert (clocked.assigned_device_count, clocked.invoice_count, clocked.energy_kwh.value) == (0, 1, "384")
    # 0.30 a day.
    assert clocked.fixed == money(4, 800_000_000)
    assert (clocked.demand, clocked.export, clocked.rounding) == (money(0), money(0), money(0))
    in_cents = [one.units * 100 + one.nanos // 10_000_000 for one in (clocked.billed, flat.billed, bill.total)]
    assert in_cents[0] + in_cents[1] == in_cents[2]
    assert [one.tariff_id for page in (first, rest) for one in page.tariffs] == ["by-clock", "flat"]
    assert (before.assigned_device_count, before.billed, before.invoice_count) == (1, money(0), 0)
    assert error_of(refused.value)[3] == ["tariff_id", "start_date", "end_date"]
    assert error_of(unknown.value)[1] == "TARIFF_NOT_FOUND"
