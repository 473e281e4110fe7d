"""What was said of assignments, and who said it, between the contract and the rules."""

from collections.abc import Sequence

from energy.billing.v1 import tariff_service_pb2 as pb

from billing.invoices.account_invoice_codec import text_violations
from billing.tariffs.tariff_assignment import AssignmentVersion, Correction, TariffAssignment
from billing.tariffs.tariff_codec import assignment_message, refuse
from common.errors import FieldViolation, InvalidArgument
from common.instants import from_ms

_ACTOR_LENGTH_MAXIMUM = 128
_REASON_LENGTH_MAXIMUM = 1000


def correction_of(request: pb.AssignTariffRequest | pb.CancelTariffAssignmentRequest) -> Correction | None:
    """Who corrects an assignment, and why; None where nobody says so.

    Raises:
        InvalidArgument: with every field that breaks its rules.
    """
    if not request.HasField("correction"):
        return None
    message = request.correction
    refuse(
        [
            *text_violations("correction.actor", message.actor, _ACTOR_LENGTH_MAXIMUM, is_required=True),
            *text_violations("correction.reason", message.reason, _REASON_LENGTH_MAXIMUM, is_required=True),
        ]
    )
    return Correction(message.actor, message.reason)


def required_correction(request: pb.CancelTariffAssignmentRequest) -> Correction:
    """The same where it has to be said.

    Raises:
        InvalidArgument: it is not, or breaks its rules.
    """
    correction = correction_of(request)
    if correction is None:
        raise InvalidArgument([FieldViolation("correction", "FIELD_REQUIRED", "is required")])
    return correction


def scope_of(request: pb.ListTariffAssignmentsRequest) -> str:
    """Whose assignments are asked for.

    Raises:
        InvalidArgument: nobody's.
    """
    scope = TariffAssignment(request.device_id, "", 0, request.site_id, request.group_id).scope
    if not getattr(request, request.WhichOneof("whose") or "device_id"):
        raise InvalidArgument(
            [FieldViolation("whose", "FIELD_REQUIRED", "is required: device_id, site_id or group_id")]
        )
    return scope


def version_message(version: AssignmentVersion, *, superseded: bool) -> pb.TariffAssignmentVersion:
    """The message of what was said of an assignment."""
    message = pb.TariffAssignmentVersion(
        assignment=assignment_message(version.assignment),
        number=version.number,
        create_time=from_ms(version.create_ms),
        is_cancelled=version.is_cancelled,
        superseded=superseded,
    )
    if version.correction is not None:
        message.correction.actor = version.correction.actor
        message.correction.reason = version.correction.reason
    return message


def version_messages(
    versions: Sequence[AssignmentVersion],
) -> list[tuple[tuple[int, int], pb.TariffAssignmentVersion]]:
    """The messages of all that was said of a scope, by start and number, each with these."""
    newest = {version.assignment.start_ms: version.number for version in versions}
    places = [(version.assignment.start_ms, version.number) for version in versions]
    return [
        ((start_ms, number), version_message(version, superseded=number < newest[start_ms]))
        for (start_ms, number), version in zip(places, versions, strict=True)
    ]
