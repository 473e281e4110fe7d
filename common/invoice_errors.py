"""The errors of those who work on kept invoices."""

from __future__ import annotations

import grpc

from common.mesh_error import MeshError, Resource

_INVOICE = "energy.billing.v1.AccountInvoice"


class InvoiceNotFound(MeshError):
    """Expected: there is no invoice, or no dispute of it, of this id."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "INVOICE_NOT_FOUND"

    def __init__(self, invoice_id: str, what: str = "invoice") -> None:
        super().__init__(
            f"no such {what} of {invoice_id!r}",
            metadata={"invoice_id": invoice_id},
            resource=Resource(_INVOICE, invoice_id),
        )


class InvoiceState(MeshError):
    """Expected: the invoice does not accept this operation in its state."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "INVOICE_STATE"

    def __init__(self, invoice_id: str, state: str) -> None:
        super().__init__(
            f"the invoice {invoice_id!r} is {state}",
            metadata={"invoice_id": invoice_id, "state": state},
            resource=Resource(_INVOICE, invoice_id),
        )


class InvoiceHeld(MeshError):
    """Expected: a bill is to be held, so the invoice is not issued unless somebody says why."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "INVOICE_HELD"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(
            f"a bill of the invoice {invoice_id!r} is to be held; give held_issue_reason to issue it all the same",
            metadata={"invoice_id": invoice_id},
            resource=Resource(_INVOICE, invoice_id),
        )


class InvoiceIncomplete(MeshError):
    """Expected: it is not known that every reading of the period is in the log, so the bill may still change."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "INVOICE_INCOMPLETE"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(
            f"the readings of the invoice {invoice_id!r} are not known to be complete up to its end",
            metadata={"invoice_id": invoice_id},
            resource=Resource(_INVOICE, invoice_id),
        )


class InvoiceOverlaps(MeshError):
    """Expected: another invoice of the account bills some of these days, and no day is billed twice."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "INVOICE_OVERLAPS"

    def __init__(self, invoice_id: str, other_invoice_id: str) -> None:
        super().__init__(
            f"the invoice {other_invoice_id!r} bills days of {invoice_id!r}; take it back whole or discard it before",
            metadata={"invoice_id": invoice_id, "other_invoice_id": other_invoice_id},
            resource=Resource(_INVOICE, other_invoice_id),
        )


class AmountExceedsInvoice(MeshError):
    """Expected: the amount is more than what is left of the invoice, or of the other sign."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "AMOUNT_EXCEEDS_INVOICE"

    def __init__(self, invoice_id: str, left: str) -> None:
        super().__init__(
            f"of the invoice {invoice_id!r} {left} is left; an amount lies between 0 and that, and is not 0",
            metadata={"invoice_id": invoice_id, "left": left},
            resource=Resource(_INVOICE, invoice_id),
        )


class InvoiceEntryExists(MeshError):
    """Expected: the invoice has an entry of this id with other content."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "INVOICE_ENTRY_EXISTS"

    def __init__(self, invoice_id: str, entry_id: str) -> None:
        super().__init__(
            f"the invoice {invoice_id!r} has another entry {entry_id!r}",
            metadata={"invoice_id": invoice_id, "entry_id": entry_id},
            resource=Resource(_INVOICE, invoice_id),
        )
