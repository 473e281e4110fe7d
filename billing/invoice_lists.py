"""Everything that lists of kept invoices and payments are read from."""

from dataclasses import dataclass

from billing.invoice_list_store import InvoiceListStore
from billing.payment_list_store import PaymentListStore
from billing.revenue_store import RevenueStore


@dataclass(frozen=True, slots=True)
class InvoiceLists:
    """The stores that lists are read from."""

    invoices: InvoiceListStore
    payments: PaymentListStore
    revenue: RevenueStore

    async def prepare(self) -> None:
        """Makes their indexes."""
        await self.invoices.prepare()
        await self.payments.prepare()
        await self.revenue.prepare()
