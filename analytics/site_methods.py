"""The method of analytics about the balance of a site; it only translates."""

from __future__ import annotations

from collections.abc import Callable

from energy.analytics.v1 import analytics_service_pb2 as pb
from energy.analytics.v1 import site_balance_pb2
from energy.analytics.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer

from analytics.fleet.request_checks import text_violations
from analytics.performance.performance_request import window_of
from analytics.performance.site_balance import SiteBalance
from analytics.performance.site_report import SiteQuestion, SiteReport
from common.energy import kwh
from common.errors import FieldViolation
from common.instants import from_ms, optional_from_ms
from common.rpc_guard import Context

GRID_METERS_MAXIMUM = 100
TOLERANCE_PERCENT_DEFAULT = 5.0

_SITE_LENGTH_MAXIMUM = 128
_PERCENT_MAXIMUM = 100


class SiteMethods(AnalyticsServiceServicer):
    """Translates between the contract and the balance of sites."""

    def __init__(self, report: SiteReport, now_ms: Callable[[], int]) -> None:
        self._sites = report
        self._site_clock_ms = now_ms

    async def GetSiteBalance(  # noqa: N802 - the contract's name
        self, request: pb.GetSiteBalanceRequest, context: Context
    ) -> pb.GetSiteBalanceResponse:
        """Gets the balance of a site."""
        question = site_question(request, self._site_clock_ms())
        balance, through_ms = await self._sites.of(question, context.time_remaining)
        return pb.GetSiteBalanceResponse(
            balance=_balance_message(question.site_id, balance), complete_through=optional_from_ms(through_ms)
        )


def site_question(request: pb.GetSiteBalanceRequest, now_ms: int) -> SiteQuestion:
    """Which site in which window a request is about.

    Raises:
        InvalidArgument: a field is absent or out of its range.
    """
    violations = text_violations("site_id", request.site_id, _SITE_LENGTH_MAXIMUM)
    if len(request.grid_meter_ids) > GRID_METERS_MAXIMUM:
        must = f"must be at most {GRID_METERS_MAXIMUM}"
        violations.append(FieldViolation("grid_meter_ids", "OUT_OF_RANGE", must))
    tolerance = request.tolerance_percent if request.HasField("tolerance_percent") else TOLERANCE_PERCENT_DEFAULT
    if not 0 <= tolerance <= _PERCENT_MAXIMUM:
        violations.append(FieldViolation("tolerance_percent", "OUT_OF_RANGE", "must be 0 to 100"))
    window = window_of(request, violations, now_ms)
    return SiteQuestion(request.site_id, window, list(dict.fromkeys(request.grid_meter_ids)), tolerance)


def _balance_message(site_id: str, balance: SiteBalance) -> site_balance_pb2.SiteBalance:
    return site_balance_pb2.SiteBalance(
        site_id=site_id,
        start_time=from_ms(balance.window.start_ms),
        end_time=from_ms(balance.window.end_ms),
        grid_import_kwh=_kwh(balance.grid_in),
        grid_export_kwh=_kwh(balance.grid_out),
        charger_kwh=_kwh(balance.chargers),
        other_meter_kwh=_kwh(balance.other_meters),
        storage_kwh=_kwh(balance.storage),
        residual_kwh=_kwh(balance.residual),
        residual_percent=balance.residual_percent,
        state=site_balance_pb2.SiteBalanceState.Value(f"SITE_BALANCE_STATE_{balance.state.value}"),
        devices=[
            site_balance_pb2.SiteDevice(
                device_id=device.device_id,
                role=site_balance_pb2.SiteDeviceRole.Value(f"SITE_DEVICE_ROLE_{device.role.value}"),
                energy_in_kwh=_kwh(device.in_milliwatt_hours),
                energy_out_kwh=_kwh(device.out_milliwatt_hours),
                covered_share=device.covered_share,
            )
            for device in balance.devices
        ],
        missing_device_ids=balance.missing,
    )


def _kwh(milliwatt_hours: int | None) -> float | None:
    return None if milliwatt_hours is None else kwh(milliwatt_hours)
