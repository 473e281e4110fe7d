"""Who answers a call asks others for no longer than its own caller still waits."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.call_deadline import answer_within, patience, shortened
from common.errors import DeadlineExceeded

_ROOT = Path(__file__).resolve().parents[3]
_OURS = ("analytics", "billing", "common", "gateway", "ingestion")
_SHRINKING = {"patience", "timeout_seconds", "left_seconds"}


def test_a_peer_is_asked_for_what_is_left_at_most() -> None:
    """Less a moment for the answer's own way."""
    assert shortened(5.0, 2.0) == pytest.approx(1.95)
    assert shortened(5.0, 60.0) == 5.0
    assert shortened(5.0, None) == 5.0


def test_nobody_is_asked_when_the_time_is_over() -> None:
    """The caller would not hear the answer."""
    with pytest.raises(DeadlineExceeded):
        shortened(5.0, 0.05)


async def test_each_call_has_a_deadline_of_its_own() -> None:
    """What runs for one caller knows nothing of another's."""

    async def answer(seconds: float | None) -> float:
        answer_within(seconds)
        await asyncio.sleep(0)
        return patience(5.0)

    hurried, patient, silent = await asyncio.gather(*(asyncio.create_task(answer(each)) for each in (1.0, 60.0, None)))

    assert 0.5 < hurried < 1.0
    assert (patient, silent) == (5.0, 5.0)
    assert patience(7.0) == 7.0


def _calls() -> Iterator[tuple[str, str]]:
    """Each call of a method of the contract with one answer, by the file, and how its timeout is written."""
    for package in _OURS:
        # What starts the programs of a bare machine answers nobody.
        for path in (each for each in (_ROOT / package).rglob("*.py") if "localstack" not in each.parts):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
                    call = node.value
                    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
                    if name[:1].isupper():
                        timeouts = [ast.unparse(word.value) for word in call.keywords if word.arg == "timeout"]
                        yield path.name, timeouts[0] if timeouts else "none"


def test_every_call_to_a_peer_shrinks_its_deadline() -> None:
    """No call of ours is made with a fixed timeout, or none."""
    found = list(_calls())

    assert len(found) >= 4
    assert [(name, text) for name, text in found if text.split("(")[0] not in _SHRINKING] == []
