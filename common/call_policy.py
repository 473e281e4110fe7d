"""What holds for every call to the mesh, as gRPC service config: where it goes, when it is sent again, for how long."""

from __future__ import annotations

import importlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import energy
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

UNARY_DEADLINE_SECONDS = 30.0
"""No call with one answer takes longer, whatever its caller or its server would wait."""

# A call that may have arrived may be sent again only where the contract says that once more changes nothing.
_REPEATABLE = {MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT}

# Four attempts in all, after 0.1 to 0.4 s, give or take the fifth that gRPC adds.
_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

# A failed attempt costs one of 100 tokens, a call that succeeds brings back a tenth; with half of them gone nothing is
# sent again, so that a mesh in trouble gets its calls once and not four times.
_THROTTLE = {"maxTokens": 100, "tokenRatio": 0.1}

# Round robin over the replicas behind a name, without those that fail three quarters of at least ten calls in 2 s while
# others do not: they are left alone for 5 s, longer each time. Never more than half of them, so that an error which is
# the caller's own (gRPC counts every status but OK) costs no more than that.
_BALANCING = {
    "outlier_detection_experimental": {
        "interval": "2s",
        "baseEjectionTime": "5s",
        "maxEjectionTime": "60s",
        "maxEjectionPercent": 50,
        "failurePercentageEjection": {
            "threshold": 75,
            "enforcementPercentage": 100,
            "minimumHosts": 2,
            "requestVolume": 10,
        },
        "childPolicy": [{"round_robin": {}}],
    }
}


@cache
def call_policy(serving: str | None) -> str:
    """The service config of a channel, in JSON.

    A replica is called only while its health says that it is serving `serving`, the full name of a service; with None
    no health is asked for.
    """
    return json.dumps(policy_of(contract(), serving))


def policy_of(services: Iterable[ServiceDescriptor], serving: str | None) -> dict[str, Any]:
    """The service config for calls to some services. A method that is not among them is never sent twice."""
    alike: defaultdict[tuple[bool, bool], list[dict[str, str]]] = defaultdict(list)
    for service in services:
        for method in service.methods:
            name = {"service": service.full_name, "method": method.name}
            alike[_is_repeatable(method), _is_unary(method)].append(name)
    config: dict[str, Any] = {
        "loadBalancingConfig": [_BALANCING],
        "methodConfig": [
            {
                "name": names,
                **({"retryPolicy": _RETRY} if is_repeatable else {}),
                **({"timeout": f"{UNARY_DEADLINE_SECONDS:g}s"} if is_unary else {}),
            }
            for (is_repeatable, is_unary), names in alike.items()
        ],
        "retryThrottling": _THROTTLE,
    }
    if serving is not None:
        config["healthCheckConfig"] = {"serviceName": serving}
    return config


def contract() -> Iterator[ServiceDescriptor]:
    """Every service of the contract, found in the generated code so that none is left out."""
    modules = {
        ".".join(("energy", *path.relative_to(folder).with_suffix("").parts))
        for folder in energy.__path__
        for path in Path(folder).glob("*/v*/*_service_pb2.py")
    }
    for module in sorted(modules):
        yield from importlib.import_module(module).DESCRIPTOR.services_by_name.values()


def _is_repeatable(method: MethodDescriptor) -> bool:
    return method.GetOptions().idempotency_level in _REPEATABLE


def _is_unary(method: MethodDescriptor) -> bool:
    # A stream lasts as long as both sides want it to.
    return not method.client_streaming and not method.server_streaming
