"""An error arrives however long the request was that it refuses: a client drops a call whose trailers are too large."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from common.errors import DeviceNotFound, FieldViolation, InvalidArgument, InvoiceHeld, MeshError, to_status
from common.rich_status import error_info_of

# What gRPC's clients take of trailers without ever dropping a call, less what the trailers' names cost.
TRAILERS_MAXIMUM_BYTES = 8192 - 256

LONG_TEXTS = st.builds(lambda text, times: text * times, st.text(max_size=40), st.sampled_from([1, 10, 1000]))
VIOLATIONS = st.builds(FieldViolation, LONG_TEXTS, st.just("OUT_OF_RANGE"), LONG_TEXTS)


def trailers_bytes(status: Status) -> int:
    """What a status takes: the message as text of a header, and all of it as bytes."""
    return len(quote(status.message)) + len(status.SerializeToString())


def violations_of(status: Status) -> list[BadRequest.FieldViolation]:
    """The violations among the details."""
    bad_request = BadRequest()
    assert any(detail.Unpack(bad_request) for detail in status.details)
    return list(bad_request.field_violations)


def info_of(status: Status) -> ErrorInfo:
    """The `ErrorInfo`, which every status has."""
    info = error_info_of(status)
    assert info is not None
    return info


@given(st.lists(VIOLATIONS, min_size=1, max_size=30))
def test_many_or_long_violations_become_a_status_that_arrives(violations: list[FieldViolation]) -> None:
    """Those that are told are the first, at least one, and the status says how many it leaves out."""
    status = to_status(InvalidArgument(violations), "billing.energy")

    told = violations_of(status)
    left_out = int(info_of(status).metadata.get("violations_left_out", "0"))
    assert trailers_bytes(status) <= TRAILERS_MAXIMUM_BYTES
    assert len(told) + left_out == len(violations)
    assert told
    for given_one, told_one in zip(violations, told, strict=False):
        assert given_one.field.startswith(told_one.field.removesuffix("..."))


@pytest.mark.parametrize("make", [DeviceNotFound, InvoiceHeld])
@given(name=LONG_TEXTS)
def test_a_long_name_becomes_a_status_that_arrives(make: type[DeviceNotFound | InvoiceHeld], name: str) -> None:
    """Wherever the name is told: message, metadata and details."""
    error: MeshError = make(name)

    assert trailers_bytes(to_status(error, "gateway.energy")) <= TRAILERS_MAXIMUM_BYTES


def test_a_thousand_short_violations_leave_room_for_dozens() -> None:
    """So that whoever reads them has enough to do; the message tells the number of all."""
    violations = [FieldViolation(f"states[{index}]", "OUT_OF_RANGE", "must be listed") for index in range(1000)]

    status = to_status(InvalidArgument(violations), "analytics.energy")

    told = violations_of(status)
    assert len(told) > 24
    assert "(and 997 more)" in status.message
    assert info_of(status).metadata["violations_left_out"] == str(1000 - len(told))


def test_a_cut_text_ends_with_dots_and_never_within_a_character() -> None:
    """The name of a device in letters of several bytes stays readable as far as it goes."""
    status = to_status(DeviceNotFound("मीटर" * 1000), "gateway.energy")

    told = info_of(status).metadata["device_id"]
    assert told.endswith("...")
    assert ("मीटर" * 1000).startswith(told.removesuffix("..."))


def test_what_is_short_is_told_as_it_is() -> None:
    """No error that anybody meets by an honest mistake is cut."""
    status = to_status(DeviceNotFound("meter-1"), "gateway.energy")

    assert status.message == "no device has the id 'meter-1'"
    assert dict(info_of(status).metadata) == {"device_id": "meter-1"}


def test_the_fields_of_a_message_are_named_by_where_it_stands() -> None:
    """A refusal of something that stands twice in a request says which of them is meant."""
    refused = InvalidArgument([FieldViolation("start_date", "FIELD_REQUIRED", "is required")], metadata={"a": "b"})

    moved = refused.within("before")

    assert [violation.field for violation in moved.violations] == ["before.start_date"]
    assert moved.message == "before.start_date: is required"
    assert moved.metadata == {"a": "b"}
