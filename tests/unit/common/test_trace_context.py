"""Whose trace the present work belongs to, and what of others' words about it is believed."""

from __future__ import annotations

import asyncio

import pytest

from common.trace_context import current, current_traceparent, sampled_traceparent, trace_and_span_id

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01"


@pytest.mark.parametrize("flags", ["01", "03", "ff"])
def test_a_sampled_traceparent_is_taken_as_it_is(flags: str) -> None:
    """Whatever other flags are set besides."""
    value = SAMPLED[:-2] + flags

    assert sampled_traceparent(value) == value
    assert trace_and_span_id(value) == (TRACE_ID, SPAN_ID)


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        7,
        SAMPLED.encode(),
        SAMPLED[:-2] + "00",
        SAMPLED[:-1],
        SAMPLED + "\n",
        SAMPLED.upper(),
        "ff" + SAMPLED[2:],
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        "nobody's words",
    ],
)
def test_anything_else_counts_as_no_trace(value: object) -> None:
    """A header is from outside: it may be of any kind, cut off, or not sampled."""
    assert sampled_traceparent(value) == ""


def test_what_is_no_traceparent_has_no_ids() -> None:
    """It is refused rather than cut into pieces."""
    with pytest.raises(ValueError, match="traceparent"):
        trace_and_span_id("00-4bf9")


async def test_a_span_is_current_inside_and_for_the_tasks_begun_there() -> None:
    """And the one outside of it afterwards."""

    async def told() -> str:
        return current_traceparent()

    with current(SAMPLED):
        begun = asyncio.ensure_future(told())
        with current(""):
            inner = current_traceparent()
        outer = current_traceparent()

    assert (await begun, inner, outer, current_traceparent()) == (SAMPLED, "", SAMPLED, "")
