"""Everything that lists of kept invoices, payments and waiting adjustments are read from."""

from dataclasses import dataclass

from billing.adjustment_due_store import AdjustmentDueStore
from billing.invoice_list_store import InvoiceListStore
from billing.payment_list_store import PaymentListStore
from billing.revenue_store import RevenueStore


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
