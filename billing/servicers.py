"""The doors of billing and what stands behind each."""

from dataclasses import dataclass

from energy.billing.v1 import invoice_service_pb2, tariff_service_pb2, usage_service_pb2
from energy.billing.v1.invoice_service_pb2_grpc import add_InvoiceServiceServicer_to_server
from energy.billing.v1.tariff_service_pb2_grpc import add_TariffServiceServicer_to_server
from energy.billing.v1.usage_service_pb2_grpc import add_UsageServiceServicer_to_server

from billing.cold.quarantine_store import QuarantineStore
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
from billing.invoices.number_series import NumberSeries
from billing.invoices.payment_list_store import PaymentListStore
from billing.invoices.revenue_store import RevenueStore
from billing.live.live_cache import LiveCache
from billing.log.late_reading_store import LateReadingStore
from billing.log.schema import DAY_MS
from billing.log.tail_reader import TailReader
from billing.price_methods import RegionPricing
from billing.readings_at_rest import ReadingsAtRest
from billing.tariff_service import TariffService
from billing.tariffs.tariff_store import TariffStore
from billing.usage.answers import Answers
from billing.usage.live_reader import LiveReader
from billing.usage.minute_store import MinuteStore
from billing.usage.usage_store import UsageStore
from billing.usage_service import UsageService
from billing.validation.reading_validation import ReadingValidation
from billing.validation_wiring import validation_parts
from common.clock import now_ms
from common.grpc_server import ServicerEntry
from common.mongo import Database
from common.registry_cache import RegistryCache


@dataclass(frozen=True, slots=True)
class Doors:
    """The services, and what is behind some of them that also works by itself: validation and the book of invoices."""

    servicers: list[ServicerEntry]
    validation: ReadingValidation
    book: InvoiceBook


async def prepare_doors(database: Database) -> None:
    """Makes the indexes of what the doors keep; harmless when they are there."""
    await TariffStore(database).prepare()
    await AccountInvoiceStore(database).prepare()
    await _lists(database).prepare()


def servicers_of(
    config: BillingConfig,
    database: Database,
    cache: LiveCache,
    readings: ReadingsAtRest,
    devices: RegistryCache,
    *,
    pricing: RegionPricing,
    answers: Answers,
) -> Doors:
    """Every service of billing, on the stores of this process."""
    tail = TailReader(readings.tail, readings.log)
    usage = UsageStore(database, readings.history, tail, readings.days)
    live = LiveReader(
        cache=cache, store=readings.live, history=readings.history, tail=tail, publisher=readings.publisher
    )
    tariffs, quarantine = TariffStore(database), QuarantineStore(database)

    validation = validation_parts(
        database,
        usage=usage,
        writer=readings.writer,
        tail=readings.tail,
        publish=readings.publisher.offer_segment,
        registry=devices,
        partitions=config.partitions,
        holidays=config.holidays,
        clock_ms=now_ms,
    )
    bills = BillMaker(
        store=tariffs,
        registry=devices,
        quarters=usage,
        quarantine=quarantine,
        complete_through=readings.complete_through,
        region_prices=pricing.reader,
        hold_limits=HoldLimits(
            config.hold_estimated_days * DAY_MS, config.hold_estimated_percent, config.hold_missing_percent
        ),
    )
    invoices, lists = AccountInvoiceStore(database), _lists(database)
    book = InvoiceBook(
        store=invoices,
        maker=InvoiceMaker(store=invoices, bills=bills, registry=devices, clock=now_ms),
        periods=BilledPeriodStore(database, invoices.find),
        adjustments_due=lists.adjustments_due,
        payments=lists.payments,
        clock=now_ms,
        due_days=config.invoice_due_days,
        series=NumberSeries(config.invoice_number_prefix, config.invoice_number_prefixes),
    )
    servicers: list[ServicerEntry] = [
        (
            add_UsageServiceServicer_to_server,
            UsageService(
                usage=usage,
                minutes=MinuteStore(database, readings.history, tail, readings.days, usage),
                live=live,
                registry=devices,
                complete_through=readings.complete_through,
                answers=answers,
                quarantine=quarantine,
                late=LateReadingStore(database),
                is_catching_up=lambda: readings.tail.is_refusing,
                clock=now_ms,
            ),
            usage_service_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name,
        ),
        (
            add_TariffServiceServicer_to_server,
            TariffService(
                store=tariffs,
                registry=devices,
                bills=bills,
                pricing=pricing,
                answers=answers,
                revenue=lists.revenue,
                clock=now_ms,
            ),
            tariff_service_pb2.DESCRIPTOR.services_by_name["TariffService"].full_name,
        ),
        (
            add_InvoiceServiceServicer_to_server,
            InvoiceService(
                bills=bills,
                answers=answers,
                book=book,
                renderer=InvoiceRenderer(invoices, usage),
                lists=lists,
                explainer=Explainer(bills=bills, invoices=invoices, tariffs=tariffs, readings=usage),
                registry=devices,
                clock=now_ms,
            ),
            invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"].full_name,
        ),
        validation.servicer,
    ]
    return Doors(servicers, validation.validation, book)


def _lists(database: Database) -> InvoiceLists:
    return InvoiceLists(
        InvoiceListStore(database), PaymentListStore(database), RevenueStore(database), AdjustmentDueStore(database)
    )
