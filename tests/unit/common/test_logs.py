"""The log: one JSON object a line, ours and the libraries' alike."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from common import logs
from common.trace_context import current

Written = Callable[[Callable[[], object]], list[dict[str, Any]]]


@pytest.fixture
def written_by(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """Configures the log as a service does, gives the records that an act writes, and puts everything back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {
        name: logging.getLogger(name).level for name in ("aiormq", "asyncio", "opentelemetry", "pymongo", "urllib3")
    }

    def written(act: Callable[[], object]) -> list[dict[str, Any]]:
        # Here and not above: pytest swaps stderr between the phases of a test.
        logs.configure("billing", "info")
        act()
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def test_a_record_has_time_level_service_event_and_its_fields(written_by: Written) -> None:
    """In this order, with the instant in UTC and milliseconds."""
    [record] = written_by(
        lambda: logs.get_logger("test").warning("segment_quarantined", batch_id="b-1", readings_count=500)
    )

    assert list(record)[:4] == ["time", "level", "service", "event"]
    assert record["time"].endswith("Z")
    assert len(record["time"]) == len("2026-01-01T00:00:00.000Z")
    assert record["level"] == "warning"
    assert record["service"] == "billing"
    assert record["event"] == "segment_quarantined"
    assert (record["batch_id"], record["readings_count"]) == ("b-1", 500)


def test_a_librarys_record_has_the_same_shape(written_by: Written) -> None:
    """Whatever writes with the standard library is routed through."""
    [record] = written_by(lambda: logging.getLogger("some.library").error("lost %s", "something"))

    assert (record["level"], record["service"], record["event"]) == ("error", "billing", "lost something")


def test_a_failure_is_one_line_with_its_traceback(written_by: Written) -> None:
    """No record is cut into several lines, and no local variable is shown."""
    secret = "hunter" + str(2)

    def fail() -> None:
        try:
            int(secret[:0])
        except ValueError as failure:
            logs.get_logger("test").error("rpc_failed", exc_info=failure)

    [record] = written_by(fail)

    assert "ValueError: invalid literal" in record["exception"]
    assert "int(secret[:0])" in record["exception"]
    assert secret not in json.dumps(record)


def test_what_is_said_within_a_sampled_span_names_it(written_by: Written) -> None:
    """Ours and the libraries' alike, beside the name of the event; outside of one there are no such keys."""

    def speak() -> None:
        for traceparent in (f"00-{'a' * 32}-{'b' * 16}-01", ""):
            with current(traceparent):
                logs.get_logger("test").warning("log_append_retried", segments=2)
                logging.getLogger("some.library").warning("lost")

    traced, library, *others = written_by(speak)

    assert (traced["event"], traced["trace_id"], traced["span_id"]) == ("log_append_retried", "a" * 32, "b" * 16)
    assert (library["trace_id"], library["span_id"]) == ("a" * 32, "b" * 16)
    assert [{"trace_id", "span_id"} & other.keys() for other in others] == [set(), set()]


def test_records_below_the_level_are_not_written(written_by: Written) -> None:
    """Neither ours nor the libraries'."""

    def whisper() -> None:
        logs.get_logger("test").debug("detail")
        logging.getLogger("some.library").debug("detail")

    assert written_by(whisper) == []
