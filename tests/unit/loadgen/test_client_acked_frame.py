"""What an ack says about the readings of a frame."""

from __future__ import annotations

from energy.common.v1.error_reason_pb2 import ERROR_REASON_FRAME_TOO_LARGE, ERROR_REASON_OUT_OF_RANGE
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.verdict_pb2 import Verdict

from loadgen.acked_frame import AckedFrame, reason_name


def frame(*verdicts: Verdict) -> AckedFrame:
    """Three readings and what was said about them."""
    readings = [Reading(device_id=f"meter-{n}") for n in range(3)]
    return AckedFrame(readings, verdicts, ack_time_ms=0.0, latency_ms=1.0, write_count=1)


def test_without_a_verdict_every_reading_is_accepted() -> None:
    """Silence is consent."""
    assert frame().refusals() == {}


def test_a_verdict_refuses_one_reading_and_keeps_its_neighbours() -> None:
    """Positions count from 0."""
    refusals = frame(Verdict(index=1, reason=ERROR_REASON_OUT_OF_RANGE)).refusals()

    assert list(refusals) == [1]


def test_a_verdict_on_the_frame_refuses_each_reading_in_it() -> None:
    """Index -1 is the whole frame."""
    refusals = frame(Verdict(index=-1, reason=ERROR_REASON_FRAME_TOO_LARGE)).refusals()

    assert sorted(refusals) == [0, 1, 2]


def test_a_position_outside_the_frame_refuses_nothing() -> None:
    """A confused gateway cannot refuse what was not sent."""
    assert frame(Verdict(index=3), Verdict(index=-2)).refusals() == {}


def test_two_verdicts_on_one_reading_refuse_it_once() -> None:
    """A reading is refused or not, however many rules it broke."""
    refusals = frame(Verdict(index=0, field="a"), Verdict(index=0, field="b")).refusals()

    assert len(refusals) == 1


def test_reasons_are_named_without_their_prefix() -> None:
    """Also one that a newer gateway knows and this program does not."""
    assert reason_name(Verdict(reason=ERROR_REASON_OUT_OF_RANGE)) == "OUT_OF_RANGE"
    unknown = Verdict()
    unknown.MergeFromString(b"\x18\xe7\x07")
    assert reason_name(unknown) == "REASON_999"
