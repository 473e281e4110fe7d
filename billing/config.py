"""What billing is told at its start."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from billing.invoices.number_series import CREDIT_NOTES, INVOICES
from common.config import PeerAddress, Port, ServiceConfig


def _not_of_credit_notes(prefix: str) -> str:
    if prefix == CREDIT_NOTES:
        raise ValueError(f"{CREDIT_NOTES} is the prefix of the numbers of credit notes")
    return prefix


CurrencyCode = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
NumberPrefix = Annotated[str, StringConstraints(pattern="^[A-Z][A-Z0-9]{0,11}$"), AfterValidator(_not_of_credit_notes)]


class BillingConfig(ServiceConfig):
    """The settings of billing."""

    grpc_port: Port = 50053
    metrics_port: Port = 9103
    gateway_address: PeerAddress = "127.0.0.1:50051"
    """Where the gateway listens, which has the registry."""
    prefetch: int = Field(default=32, ge=1, le=2000)
    """Batches of a partition in hand at once."""
    merge_wait_seconds: float = Field(default=5.0, ge=0, le=3600)
    """How long a reading may wait for company before it is folded all the same, up to six times as long while the log
    is being written."""
    merge_readings_per_round: int = Field(default=50_000, ge=1, le=1_000_000)
    """Readings of one partition that are folded at once; the more, the fuller the documents they make."""
    merge_search_seconds: float = Field(default=5.0, gt=0, le=3600)
    """How often the log is searched for segments that nobody here holds."""
    pending_readings_maximum: int = Field(default=400_000, ge=1000)
    """Unfolded readings kept in memory, about 80 bytes each; what does not fit waits in the log."""
    raw_retention_days: int | None = Field(default=None, ge=2, le=36_500)
    """Days after which the cold readings of a day are removed, once its roll-up was checked against them; by default
    never. The log keeps what came."""
    quarter_hour_retention_days: int | None = Field(default=None, ge=400, le=36_500)
    """Days after which the quarter-hours of a day are removed, its local days being kept, where its readings were and
    invoices are issued for it and for the year after it, in which bills may look back at it; by default never."""
    log_retention_days: int | None = Field(default=None, ge=2, le=36_500)
    """Days after which a segment of the log is removed, once each of its readings was found at rest; by default
    never."""
    hold_estimated_days: int = Field(default=3, ge=0, le=366)
    """A bill is to be held when estimates go on for more than so many days without a reading between."""
    hold_estimated_percent: Decimal = Field(default=Decimal(10), ge=0, le=100)
    """And when more than so much of its energy is estimated."""
    hold_missing_percent: Decimal = Field(default=Decimal(5), ge=0, le=100)
    """And when more than so much of its time has no readings, and so is not billed."""
    answer_cache_seconds: float = Field(default=60.0, ge=0, le=3600)
    """How long an answer about a device may be given again while nothing it stands on changes; 0: never."""
    price_notice_seconds: float = Field(default=300.0, ge=10, le=840)
    """How long before a quarter-hour begins the price of each region is fixed for it."""
    invoice_due_days: int = Field(default=30, ge=0, le=366)
    """How many days after its issue an invoice is due."""
    invoice_number_prefix: NumberPrefix = INVOICES
    """What the numbers of invoices begin with: one series for all that have no other, counted without a gap."""
    invoice_number_prefixes: dict[CurrencyCode, NumberPrefix] = Field(default_factory=dict)
    """What the numbers of invoices in a currency begin with, as a JSON object such as `{"EUR": "EU", "USD": "US"}`: a
    series for each prefix. What is numbered keeps its number."""
    validation_automatic: bool = True
    """Whether the days of every meter are validated by themselves when they have ended, and again when they changed."""
    estimation_automatic: bool = False
    """Whether what is missing on these days is estimated, too; bills then rest on it and say so."""
    holidays: tuple[date, ...] = ()
    """Days that are estimated from weekend days, as a JSON list such as `["2026-12-25"]`."""
