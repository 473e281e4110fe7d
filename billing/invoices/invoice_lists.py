"""Everything that lists of kept invoices, payments and waiting adjustments are read from."""

from dataclasses import dataclass

from billing.invoices.adjustment_due_store import AdjustmentDueStore
from billing.invoices.invoice_list_store import InvoiceListStore
from billing.invoices.payment_list_store import PaymentListStore
from billing.invoices.revenue_store import RevenueStore


@dataclass(frozen=True, slots=True)
class InvoiceLists:
    """The stores that lists are read from."""

    invoices: InvoiceListStore
    payments: PaymentListStore
    revenue: RevenueStore
    adjustments_due: AdjustmentDueStore

    async def prepare(self) -> None:
        """Makes their indexes."""
        await self.invoices.prepare()
        await self.payments.prepare()
        await self.revenue.prepare()
        await self.adjustments_due.prepare()
