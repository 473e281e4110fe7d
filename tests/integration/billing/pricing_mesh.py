"""The tariff and invoice services on a real gRPC server, before a registry and readings that the test makes up."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import grpc
from energy.billing.v1 import tariff_pb2
from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceStub, add_InvoiceServiceServicer_to_server
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest
from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceStub, add_TariffServiceServicer_to_server
from energy.registry.v1.device_pb2 import DEVICE_KIND_METER, DEVICE_KIND_STORAGE, DEVICE_KIND_VEHICLE
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.type.dayofweek_pb2 import FRIDAY, MONDAY, THURSDAY, TUESDAY, WEDNESDAY
from google.type.decimal_pb2 import Decimal as DecimalMessage
from google.type.money_pb2 import Money
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from billing.cold.quarantine_store import QuarantineStore
from billing.cold.span import Span
from billing.cold.usage_pipeline import UsageQuery
from billing.cold.usage_sum import Usage
from billing.config import BillingConfig
from billing.invoice_service import InvoiceService
from billing.invoices.account_invoice_store import AccountInvoiceStore
from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.invoices.bill_hold import HoldLimits
from billing.invoices.bill_maker import BillMaker
from billing.invoices.billed_period_store import BilledPeriodStore
from billing.invoices.explaining import Explainer
from billing.invoices.invoice_book import InvoiceBook
from billing.invoices.invoice_list_store import InvoiceListStore
from billing.invoices.invoice_lists import InvoiceLists
from billing.invoices.invoice_maker import InvoiceMaker
from billing.invoices.invoice_rendering import InvoiceRenderer
from billing.invoices.payment_list_store import PaymentListStore
from billing.invoices.revenue_store import RevenueStore
from billing.log.observation import SpanKey
from billing.price_methods import RegionPricing
from billing.pricing_wiring import prepare_prices, region_pricing
from billing.tariff_service import TariffService
from billing.tariffs.price_cache import PriceCache
from billing.tariffs.rated_line import Quarter
from billing.tariffs.tariff_store import TariffStore
from billing.usage.answers import Answers
from billing.usage.usage_store import UsageStore
from common.errors import DeviceNotFound
from common.grpc_client import open_channel
from common.instants import datetime_to_ms, from_ms
from common.interceptors import standard_interceptors
from common.local_time import local_midnight_ms
from common.logs import get_logger
from common.mongo import Database
from common.redis_client import open_redis
from common.rich_status import status_of
from common.store_deadline import StoreDeadlineInterceptor
from tests.integration.billing.store import no_answers

if TYPE_CHECKING:
    # Exist only for the type checker.
    from energy.billing.v1.invoice_service_pb2_grpc import InvoiceServiceAsyncStub
    from energy.billing.v1.tariff_service_pb2_grpc import TariffServiceAsyncStub


def money(units: int, nanos: int = 0, currency_code: str = "EUR") -> Money:
    """An amount."""
    return Money(currency_code=currency_code, units=units, nanos=nanos)


BY_CLOCK = tariff_pb2.Tariff(
    tariff_id="by-clock",
    display_name="Evenings cost more",
    currency_code="EUR",
    time_of_use=tariff_pb2.TimeOfUsePricing(
        periods=[
            tariff_pb2.TimeOfUsePeriod(
                name="peak",
                price_per_kwh=money(0, 400_000_000),
                windows=[
                    tariff_pb2.TimeOfUseWindow(
                        days_of_week=[MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY], start_minute=1020, end_minute=1260
                    )
                ],
            )
        ],
        default_name="off-peak",
        default_price_per_kwh=money(0, 200_000_000),
    ),
    daily_charge=money(0, 300_000_000),
    tax_percent=DecimalMessage(value="19"),
)


@dataclass(frozen=True, slots=True)
class MadeUpDevice:
    """A device as it is registered."""

    device_id: str
    kind: int
    account_id: str
    time_zone: str
    region: str = ""
    site_id: str = ""
    group_ids: tuple[str, ...] = ()
    create_time_ms: int = 0
    update_time_ms: int = 0
    is_decommissioned: bool = False


DEVICES = {
    device.device_id: device
    for device in (
        MadeUpDevice("meter-berlin", DEVICE_KIND_METER, "acc-1", "Europe/Berlin"),
        MadeUpDevice("meter-kolkata", DEVICE_KIND_METER, "acc-2", "Asia/Kolkata", "Pune-East"),
        MadeUpDevice(
            "meter-new-york", DEVICE_KIND_METER, "acc-3", "America/New_York", "", "site-1", ("group-1", "group-2")
        ),
        MadeUpDevice("vehicle-1", DEVICE_KIND_VEHICLE, "acc-1", "Europe/Berlin"),
        MadeUpDevice("storage-1", DEVICE_KIND_STORAGE, "acc-1", "Europe/Berlin"),
    )
}


class MadeUpRegistry:
    """Finds a meter in each of three zones, a vehicle and a battery."""

    is_complete = True

    def account_count(self, kind: int, region: str = "", after: str = "") -> int:
        """How many accounts there are."""
        return len(self.accounts(kind, region, after))

    def accounts(self, kind: int, region: str = "", after: str = "") -> list[str]:
        """The accounts of these after one."""
        of_kind = {one.account_id for one in DEVICES.values() if one.kind == kind and region in {"", one.region}}
        return sorted(one for one in of_kind if one > after)

    def devices(self) -> list[MadeUpDevice]:
        """All of them."""
        return list(DEVICES.values())

    def by_account(self, account_id: str) -> list[MadeUpDevice]:
        """The devices of one."""
        return [device for device in DEVICES.values() if device.account_id == account_id]

    async def find(self, device_id: str) -> MadeUpDevice:
        """The device of an id."""
        if device_id not in DEVICES:
            raise DeviceNotFound(device_id)
        return DEVICES[device_id]


@dataclass
class MadeUpReadings:
    """The quarters that a test gives each device."""

    of_device: dict[str, list[Quarter]] = field(default_factory=dict)

    async def quarters(
        self,
        device_id: str,
        start_ms: int,
        end_ms: int,
        as_of_ms: int | None = None,  # noqa: ARG002
    ) -> Sequence[Quarter]:
        """Those that start in the span."""
        return [quarter for quarter in self.of_device.get(device_id, []) if start_ms <= quarter.start_ms < end_ms]

    async def intervals(
        self,
        query: UsageQuery,
        limit: int | None = None,  # noqa: ARG002
        as_of_ms: int | None = None,  # noqa: ARG002
    ) -> list[tuple[int, Usage]]:
        """By local day."""
        zone, found = ZoneInfo(query.time_zone), dict[int, Usage]()
        for quarter in await self.quarters(query.device_id, query.start_ms, query.end_ms):
            local = datetime.fromtimestamp(quarter.start_ms / 1000, zone)
            day = found.setdefault(local_midnight_ms(local.date(), zone), Usage())
            energy = day.energies.get("import_milliwatt_hours", 0) + (quarter.import_milliwatt_hours or 0)
            day.energies["import_milliwatt_hours"] = energy
            day.estimated_count += quarter.estimated_reading_count
        return sorted(found.items())

    async def spans(self, *asked: object) -> AsyncIterator[tuple[SpanKey, Span]]:  # noqa: ARG002
        """None: there are quarters only."""
        for key, span in list[tuple[SpanKey, Span]]():
            yield key, span


@dataclass
class Clock:
    """A clock that stands where the test puts it."""

    now_ms: int = 1_767_225_600_000  # 2026-01-01T00:00Z

    def __call__(self) -> int:
        """Now."""
        return self.now_ms


@dataclass
class MadeUpCompleteness:
    """The log is complete up to where the test says."""

    latest_ms: int | None = None

    async def lowered(self, instant_ms: int) -> int:
        """The earlier of both."""
        return min(instant_ms, self.latest_ms or 0)


@dataclass(frozen=True, slots=True)
class PricingMesh:
    """The running services and what is behind them."""

    tariffs: "TariffServiceAsyncStub"
    invoices: "InvoiceServiceAsyncStub"
    readings: MadeUpReadings
    clock: Clock
    complete_through: MadeUpCompleteness
    registry: MadeUpRegistry
    book: InvoiceBook
    adjustments_due: AdjustmentDueStore
    pricing: RegionPricing
    address: str
    tariff_store: TariffStore


# Nothing listens on the port that is reserved for nobody.
_NO_REDIS = "redis://127.0.0.1:1"


@asynccontextmanager
async def pricing_mesh(
    database: Database,
    usage: UsageStore | MadeUpReadings | None = None,
    redis: Redis | None = None,
    asked: Answers | None = None,
) -> AsyncIterator[PricingMesh]:
    """Serves both services on loopback over a real store; bills are of `usage`, by default those a test makes up.

    Without `redis` the one that is asked is away; without `asked` no answer is given twice.
    """
    store, registry, readings, clock = TariffStore(database), MadeUpRegistry(), MadeUpReadings(), Clock()
    complete_through = MadeUpCompleteness()
    await store.prepare()
    await prepare_prices(database)
    pricing = region_pricing(BillingConfig(), database, PriceCache(redis or open_redis(_NO_REDIS)), clock)
    bills = BillMaker(
        store=store,
        registry=registry,
        quarters=usage or readings,
        quarantine=QuarantineStore(database),
        complete_through=complete_through,
        region_prices=pricing.reader,
        hold_limits=HoldLimits(72 * 3_600_000, Decimal(10)),
    )
    answers = no_answers() if asked is None else asked
    invoices = AccountInvoiceStore(database)
    await invoices.prepare()
    due = AdjustmentDueStore(database)
    lists = InvoiceLists(InvoiceListStore(database), PaymentListStore(database), RevenueStore(database), due)
    await lists.prepare()
    book = InvoiceBook(
        store=invoices,
        maker=InvoiceMaker(store=invoices, bills=bills, registry=registry, clock=clock),
        periods=BilledPeriodStore(database, invoices.find),
        adjustments_due=due,
        payments=lists.payments,
        clock=clock,
        due_days=30,
    )
    interceptors = [
        *standard_interceptors("billing.energy", get_logger(__name__), CollectorRegistry()),
        StoreDeadlineInterceptor(),
    ]
    server = grpc.aio.server(interceptors=interceptors, options=[("grpc.so_reuseport", 0)])
    tariff_service = TariffService(
        store=store,
        registry=registry,
        bills=bills,
        pricing=pricing,
        answers=answers,
        revenue=lists.revenue,
        clock=clock,
    )
    add_TariffServiceServicer_to_server(tariff_service, server)
    add_InvoiceServiceServicer_to_server(
        InvoiceService(
            bills=bills,
            answers=answers,
            book=book,
            renderer=InvoiceRenderer(invoices, usage or readings),
            lists=lists,
            explainer=Explainer(bills=bills, invoices=invoices, tariffs=store, readings=usage or readings),
            registry=registry,
            clock=clock,
        ),
        server,
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}")
    try:
        yield PricingMesh(
            TariffServiceStub(channel),
            InvoiceServiceStub(channel),
            readings,
            clock,
            complete_through,
            registry,
            book,
            due,
            pricing,
            f"127.0.0.1:{port}",
            store,
        )
    finally:
        await channel.close()
        await server.stop(0)


def flat_tariff(tariff_id: str, price: Money, **more: Message) -> tariff_pb2.Tariff:
    """A flat tariff in the currency of its price."""
    return tariff_pb2.Tariff(
        tariff_id=tariff_id,
        currency_code=price.currency_code,
        flat=tariff_pb2.FlatPricing(price_per_kwh=price),
        **more,  # type: ignore[arg-type]
    )


def error_of(failure: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, dict[str, str], list[str]]:
    """Code, reason, metadata and the fields of the violations of a failed call."""
    status = status_of(failure)
    assert status is not None
    info, bad_request = ErrorInfo(), BadRequest()
    for detail in status.details:
        for wanted in (info, bad_request):
            if detail.Is(wanted.DESCRIPTOR):
                detail.Unpack(wanted)
    assert info.domain == "billing.energy"
    fields = [violation.field for violation in bad_request.field_violations]
    return failure.code(), info.reason, dict(info.metadata), fields


async def assign(
    mesh: PricingMesh, device_id: str, tariff: tariff_pb2.Tariff, start_time: Timestamp
) -> tariff_pb2.TariffAssignment:
    """Creates a tariff and assigns it from an instant on."""
    await mesh.tariffs.CreateTariff(CreateTariffRequest(tariff=tariff))
    wanted = tariff_pb2.TariffAssignment(device_id=device_id, tariff_id=tariff.tariff_id, start_time=start_time)
    return (await mesh.tariffs.AssignTariff(AssignTariffRequest(assignment=wanted))).assignment


def at(text: str) -> Timestamp:
    """An instant such as `2026-03-29T01:00`, UTC."""
    return from_ms(datetime_to_ms(datetime.fromisoformat(text).replace(tzinfo=UTC)))
