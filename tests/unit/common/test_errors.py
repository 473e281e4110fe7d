"""The errors of the mesh and the statuses they become."""

from __future__ import annotations

import inspect
from typing import Any

import grpc
import pytest
from energy.common.v1.error_reason_pb2 import ErrorReason
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from common import errors
from common.errors import FieldViolation, MeshError, to_status

_INSTANT_MS = 1_767_225_600_000

_EXAMPLES: list[MeshError] = [
    MeshError(),
    errors.Internal("0123"),
    errors.InvalidArgument([FieldViolation("readings[0].start_time", "TOO_FAR_AHEAD", "lies ahead")]),
    errors.Malformed("/energy.x.v1.X/Y"),
    errors.PageTokenInvalid(),
    errors.RequestTooExpensive("at most 400 days"),
    errors.DeviceNotFound("meter-1"),
    errors.DeviceExists("meter-1"),
    errors.DeviceState("meter-1", "DECOMMISSIONED"),
    errors.LinkOverlap("meter-1", "vehicle-1"),
    errors.TariffNotFound("flat"),
    errors.TariffExists("flat"),
    errors.TariffNotAssigned("meter-1", _INSTANT_MS),
    errors.TariffAssignmentConflict("meter-1", "flat", _INSTANT_MS),
    errors.TariffAssignmentNotFound("meter-1", _INSTANT_MS),
    errors.IntervalCrossesPrice("meter-1", _INSTANT_MS),
    errors.CurrencyMixed(["INR", "USD"]),
    errors.NoReadings("meter-1"),
    errors.AccountNotBilled("acc-1", "has no meter"),
    errors.ReadingChanged("meter-1", _INSTANT_MS),
    errors.MeterExchangeExists("meter-1", _INSTANT_MS),
    errors.InvoiceNotFound("acc-1@2026-01-01@2026-02-01"),
    errors.InvoiceState("acc-1@2026-01-01@2026-02-01", "draft"),
    errors.InvoiceHeld("acc-1@2026-01-01@2026-02-01"),
    errors.InvoiceIncomplete("acc-1@2026-01-01@2026-02-01"),
    errors.InvoiceOverlaps("acc-1@2026-01-01@2026-02-01", "acc-1@2026-01-01@2026-01-31"),
    errors.AmountExceedsInvoice("acc-1@2026-01-01@2026-02-01", "12.50 EUR"),
    errors.InvoiceEntryExists("acc-1@2026-01-01@2026-02-01", "payment-1"),
    errors.PricePolicyNotFound("Pune-East"),
    errors.PriceNotFixed("Pune-East", _INSTANT_MS),
    errors.PriceMayBeFixed("Pune-East", _INSTANT_MS),
    errors.PriceRuleExists("override-1", "an override 'override-1'"),
    errors.PriceOverrideNotFound("override-1"),
    errors.PriceHistoryTooShort("Pune-East"),
    errors.RegionNotFound("Pune-East"),
    errors.RegionCapacityExists("Pune-East", _INSTANT_MS),
    errors.ScopeEmpty("region Pune-East", "meter"),
    errors.AlertNotFound("a-1"),
    errors.AlertStateConflict("a-1", "RESOLVED"),
    errors.AlertRulesFull(10_000),
    errors.RecipientNotFound("jo"),
    errors.RecipientUnreachable("jo"),
    errors.DependencyUnavailable("mongodb"),
    errors.ShuttingDown(),
    errors.Overloaded(),
    errors.DeadlineExceeded(),
]

_every_error = pytest.mark.parametrize("error", _EXAMPLES, ids=lambda error: type(error).__name__)


def _details(status: Status) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for detail in status.details:
        name = detail.TypeName().removeprefix("google.rpc.")
        assert name not in found, "each type of detail at most once"
        found[name] = getattr(error_details_pb2, name)()
        detail.Unpack(found[name])
    return found


def test_there_is_an_example_of_every_error() -> None:
    """So that the tests below miss none."""
    classes = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, MeshError)}

    assert {type(example) for example in _EXAMPLES} == classes


@_every_error
def test_every_reason_is_in_the_contract(error: MeshError) -> None:
    """Both the reason of the class and that of the instance are values of ErrorReason."""
    assert f"ERROR_REASON_{type(error).reason}" in ErrorReason.keys()  # noqa: SIM118 - an enum wrapper is no dict
    assert f"ERROR_REASON_{error.reason}" in ErrorReason.keys()  # noqa: SIM118


@_every_error
def test_every_docstring_says_whether_the_error_is_expected(error: MeshError) -> None:
    """The reader knows at once whether to handle it or to mend code."""
    assert (type(error).__doc__ or "").startswith(("Expected: ", "Unexpected: "))
    assert error.message
    assert not error.message.startswith(("Expected", "Unexpected"))


@_every_error
def test_every_status_has_code_message_and_one_error_info(error: MeshError) -> None:
    """With the domain of the service and every value as metadata."""
    status = to_status(error, "billing.energy")

    info = _details(status)["ErrorInfo"]
    assert status.code == error.code.value[0]
    assert status.message == error.message
    assert (info.reason, info.domain) == (error.reason, "billing.energy")
    assert dict(info.metadata) == error.metadata


@_every_error
def test_every_status_has_the_details_that_its_code_calls_for(error: MeshError) -> None:
    """Violations, resource, precondition, quota and wait, as the contract's table has them."""
    status = to_status(error, "billing.energy")

    extra = set(_details(status)) - {"ErrorInfo"}
    expected = {
        grpc.StatusCode.NOT_FOUND: {"ResourceInfo"},
        grpc.StatusCode.ALREADY_EXISTS: {"ResourceInfo"},
        grpc.StatusCode.FAILED_PRECONDITION: {"PreconditionFailure"},
        grpc.StatusCode.RESOURCE_EXHAUSTED: {"QuotaFailure", "RetryInfo"},
        grpc.StatusCode.UNAVAILABLE: {"RetryInfo"},
    }.get(error.code, {"BadRequest"} if error.violations else set())
    assert extra == expected


def test_every_violation_of_a_request_is_told_at_once() -> None:
    """Field, reason and description of each; the first gives the reason of the whole."""
    error = errors.InvalidArgument(
        [
            FieldViolation("power_kw", "OUT_OF_RANGE", "must be finite"),
            FieldViolation("device_id", "FIELD_REQUIRED", "must be set"),
        ]
    )

    bad_request = _details(to_status(error, "gateway.energy"))["BadRequest"]

    told = [(violation.field, violation.reason) for violation in bad_request.field_violations]
    assert told == [("power_kw", "OUT_OF_RANGE"), ("device_id", "FIELD_REQUIRED")]
    assert error.reason == "OUT_OF_RANGE"


def test_a_long_list_of_violations_gives_a_short_message() -> None:
    """The message names three and counts the rest; the details hold all."""
    violations = [FieldViolation(f"readings[{index}]", "OUT_OF_RANGE", "is wrong") for index in range(1000)]

    error = errors.InvalidArgument(violations)

    assert error.message.endswith("(and 997 more)")
    assert len(error.violations) == 1000


def test_a_refusal_without_a_violation_is_a_defect() -> None:
    """Bad input always names a field."""
    with pytest.raises(ValueError, match="violation"):
        errors.InvalidArgument([])


def test_the_wait_is_told_to_the_millisecond() -> None:
    """RetryInfo of a dependency that is away."""
    status = to_status(errors.DependencyUnavailable("redis", retry_after_seconds=0.25), "billing.energy")

    assert _details(status)["RetryInfo"].retry_delay.ToMilliseconds() == 250
