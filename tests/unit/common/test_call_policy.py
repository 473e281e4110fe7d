"""What holds for every call to the mesh follows from the contract, so that it cannot drift from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto, MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool

from common.call_policy import call_policy, contract, policy_of

_PROTOS = Path(__file__).resolve().parents[3] / "protos" / "energy"


def _service(**methods: MethodDescriptorProto) -> ServiceDescriptor:
    """A service of its own, with methods that take and give an empty message."""
    file = FileDescriptorProto(name="test.proto", package="test", syntax="proto3")
    file.message_type.add(name="Empty")
    service = file.service.add(name="ShopService")
    for name, method in methods.items():
        method.name, method.input_type, method.output_type = name, ".test.Empty", ".test.Empty"
        service.method.append(method)
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("test.ShopService")


def _of(config: dict[str, Any], method: str) -> dict[str, Any]:
    """What holds for a method."""
    (found,) = (each for each in config["methodConfig"] if method in [name["method"] for name in each["name"]])
    return dict(found)


@pytest.mark.parametrize(
    ("level", "is_sent_again"),
    [
        (MethodOptions.NO_SIDE_EFFECTS, True),
        (MethodOptions.IDEMPOTENT, True),
        (MethodOptions.IDEMPOTENCY_UNKNOWN, False),
    ],
)
def test_only_what_the_contract_calls_idempotent_is_sent_again(
    level: MethodOptions.IdempotencyLevel.ValueType, *, is_sent_again: bool
) -> None:
    """And only after UNAVAILABLE, a bounded number of times."""
    service = _service(Pay=MethodDescriptorProto(options=MethodOptions(idempotency_level=level)))

    found = _of(policy_of([service], None), "Pay")

    assert ("retryPolicy" in found) == is_sent_again
    if is_sent_again:
        assert found["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
        assert found["retryPolicy"]["maxAttempts"] == 4


def test_a_call_with_one_answer_has_a_deadline_even_if_its_caller_forgets() -> None:
    """A stream lasts as long as both sides want it to."""
    service = _service(
        Get=MethodDescriptorProto(),
        Watch=MethodDescriptorProto(server_streaming=True),
        Upload=MethodDescriptorProto(client_streaming=True),
    )

    config = policy_of([service], None)

    assert _of(config, "Get")["timeout"] == "30s"
    assert "timeout" not in _of(config, "Watch")
    assert "timeout" not in _of(config, "Upload")


def test_every_method_of_the_contract_has_its_place() -> None:
    """Those in the protos are those in the policy, each once."""
    written = [
        line.split("(")[0].removeprefix("  rpc ")
        for path in _PROTOS.rglob("*_service.proto")
        for line in path.read_text().splitlines()
        if line.startswith("  rpc ")
    ]

    named = [name["method"] for each in json.loads(call_policy(None))["methodConfig"] for name in each["name"]]

    assert sorted(named) == sorted(written)


def test_no_method_of_the_contract_leaves_open_whether_it_may_be_sent_again() -> None:
    """Whoever adds one that must not be says so in a test of its own."""
    unknown = [
        method.full_name
        for service in contract()
        for method in service.methods
        if method.GetOptions().idempotency_level == MethodOptions.IDEMPOTENCY_UNKNOWN
    ]

    assert unknown == []


def test_health_is_asked_for_where_a_service_is_named() -> None:
    """A channel without a name calls whoever is connected."""
    assert json.loads(call_policy("test.ShopService"))["healthCheckConfig"] == {"serviceName": "test.ShopService"}
    assert "healthCheckConfig" not in json.loads(call_policy(None))
