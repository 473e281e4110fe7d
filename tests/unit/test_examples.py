"""The commands that the pages tell people to try: each is a call of the contract, to the service that has it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message_factory import GetMessageClass

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    *(f"{place}/README.md" for place in ("gateway", "ingestion", "billing", "analytics", "k8s/base/monitoring")),
)
PACKAGES = {
    50051: ("energy.registry.v1", "energy.telemetry.v1"),
    50052: ("energy.ingestion.v1",),
    50053: ("energy.billing.v1",),
    50054: ("energy.analytics.v1",),
}
NOW = "'$(date -u +%FT%TZ)'"
"""The present, as the shell puts it into the content of a call."""
CALL = re.compile(r"\$G (?:-H '[^']*' \\\s+)?(?:-d '([^']*)' \\?\s*)?127\.0\.0\.1:(\d+) (energy[\w.]+)/(\w+)")


def calls() -> list[Any]:
    """Every call: its page, content, port, service and method."""
    return [
        pytest.param(*found.groups(), id=f"{page}: {found[3].rpartition('.')[2]}/{found[4]}")
        for page in PAGES
        for found in CALL.finditer((ROOT / page).read_text().replace(NOW, "2026-11-20T12:00:00Z"))
    ]


@pytest.fixture(scope="module", autouse=True)
def contract() -> None:
    """Every message and service is known."""
    for path in (ROOT / "protos/gen/energy").rglob("*_pb2.py"):
        importlib.import_module(".".join(path.relative_to(ROOT / "protos/gen").with_suffix("").parts))


def test_the_pages_have_examples() -> None:
    """So that the test below has something to look at."""
    assert len(calls()) > 60


@pytest.mark.parametrize(("content", "port", "service", "method"), calls())
def test_an_example_is_a_call_of_the_contract(content: str | None, port: str, service: str, method: str) -> None:
    """Its fields are those of the request, and who is asked has the method."""
    assert service.rpartition(".")[0] in PACKAGES[int(port)]
    request = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method].input_type

    json_format.Parse(content or "{}", GetMessageClass(request)())
