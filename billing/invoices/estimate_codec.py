"""Questions what a usage would cost, and their answers, between the contract and the rating."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from energy.billing.v1 import tariff_service_pb2 as pb
from energy.common.v1.error_reason_pb2 import ErrorReason

from billing.invoices.cost_estimate import Estimate, cheapest_first
from billing.invoices.invoice_codec import days_of
from billing.tariffs.tariff_codec import refuse
from billing.tariffs.tariff_reader import TariffReader
from billing.tariffs.tariff_validation import id_violations
from common.errors import FieldViolation
from common.local_time import is_zone

TARIFFS_MAXIMUM = 50
_KWH_MAXIMUM = 1_000_000_000
_MILLIWATT_HOURS_A_KWH = 1_000_000


@dataclass(frozen=True, slots=True)
class EstimateQuestion:
    """Whose usage, or how much of it, is to be priced over local days [start_date, end_date) by which tariffs.

    `device_id` is empty for `milliwatt_hours` that are used evenly in `time_zone`.
    """

    device_id: str
    milliwatt_hours: int
    time_zone: str
    start_date: date
    end_date: date
    tariff_ids: tuple[str, ...]


def estimate_question(request: pb.EstimateCostRequest) -> EstimateQuestion:
    """The question of a request.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    reader = TariffReader("")
    violations: list[FieldViolation] = []
    milliwatt_hours = 0
    match request.WhichOneof("usage"):
        case "device_id":
            violations += id_violations("device_id", request.device_id)
        case "even":
            milliwatt_hours = _milliwatt_hours(reader, request.even)
            if not is_zone(request.even.time_zone):
                reader.refuse("even.time_zone", "INVALID_FORMAT", "must be an IANA time zone such as Asia/Kolkata")
        case _:
            reader.refuse("usage", "FIELD_REQUIRED", "is required: device_id or even")
    if not 1 <= len(request.tariff_ids) <= TARIFFS_MAXIMUM:
        reader.refuse("tariff_ids", "OUT_OF_RANGE", f"must be 1 to {TARIFFS_MAXIMUM} tariffs")
    for index, (tariff_id, count) in enumerate(Counter(request.tariff_ids).items()):
        violations += id_violations(f"tariff_ids[{index}]", tariff_id)
        if count > 1:
            reader.refuse("tariff_ids", "INVALID_FORMAT", f"must not name {tariff_id!r} twice")
    violations += reader.violations
    start_date, end_date = days_of(request, violations)
    refuse(violations)
    return EstimateQuestion(
        request.device_id,
        milliwatt_hours,
        request.even.time_zone,
        start_date,
        end_date,
        tuple(request.tariff_ids),
    )


def estimate_answer(estimates: list[Estimate]) -> pb.EstimateCostResponse:
    """The answer, the cheapest first."""
    return pb.EstimateCostResponse(
        estimates=[pb.CostEstimate(tariff_id=one.tariff_id, bill=one.bill) for one in cheapest_first(estimates)],
        refused=[
            pb.EstimateRefusal(
                tariff_id=one.tariff_id,
                reason=ErrorReason.Value(f"ERROR_REASON_{one.refusal.reason}"),
                description=one.refusal.message,
            )
            for one in estimates
            if one.refusal is not None
        ],
    )


def _milliwatt_hours(reader: TariffReader, even: pb.EvenUsage) -> int:
    kwh = reader.optional_number(even, "kwh", "even")
    if kwh is None:
        reader.refuse("even.kwh", "FIELD_REQUIRED", "is required")
        return 0
    milliwatt_hours = kwh * _MILLIWATT_HOURS_A_KWH
    if not 0 <= kwh <= Decimal(_KWH_MAXIMUM) or milliwatt_hours != milliwatt_hours.to_integral_value():
        reader.refuse("even.kwh", "OUT_OF_RANGE", f"must be 0..{_KWH_MAXIMUM}, at most 6 decimals")
        return 0
    return int(milliwatt_hours)
