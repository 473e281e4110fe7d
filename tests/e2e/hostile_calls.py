"""Every method of the contract as a hostile client calls it, and what a refusal must be like."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from common.rich_status import error_info_of, status_of

GENERATED = Path(__file__).resolve().parents[2] / "protos" / "gen"
OWNERS = {
    "registry": "GATEWAY",
    "telemetry": "GATEWAY",
    "ingestion": "INGESTION",
    "billing": "BILLING",
    "analytics": "ANALYTICS",
}
CALL_SECONDS = 20
# A watch has no end of its own; whoever is refused hears of it at once.
WATCH_SECONDS = 0.2
LONGEST_MESSAGE = 1000
DEFECTS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DATA_LOSS,
}
# What is refused as a whole, so that no field of it is at fault.
OF_NO_FIELD = {"MALFORMED", "REQUEST_TOO_EXPENSIVE"}
# How files, drivers, servers, collections and Python itself would show in a text.
INTERNALS = re.compile(
    r"Traceback|\.py\b|site-packages|object at 0x|NoneType|has no attribute|not supported between|codec can't|"
    r"\b\w+(?:Error|Exception)\b|InvalidOperation|pymongo|motor\b|bson|aiormq|grpcio|\$(?:match|set|expr)\b|"
    r"mongodb://|amqp://|redis://|127\.0\.0\.1|localhost|Errno|"
    r"\b(?:readings_\w+|region_(?:windows|prices)|\w+_(?:history|live|days))\b"
)


def methods() -> Iterator[MethodDescriptor]:
    """Every method of the contract that takes one request."""
    for path in sorted((GENERATED / "energy").rglob("*_service_pb2.py")):
        module = importlib.import_module(".".join(path.relative_to(GENERATED).with_suffix("").parts))
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from (method for method in service.methods if not method.client_streaming)


def path_of(method: MethodDescriptor) -> str:
    """How a method is called: `/package.Service/Method`."""
    service = method.containing_service
    assert service is not None
    return f"/{service.full_name}/{method.name}"


@dataclass(frozen=True)
class Answer:
    """How a call ended: its code, and the status of a refusal."""

    code: grpc.StatusCode
    message: str = ""
    status: Status | None = None

    @property
    def reason(self) -> str:
        """The reason among the details; empty if there is none."""
        info = error_info_of(self.status) if self.status else None
        return info.reason if info else ""

    @property
    def fields(self) -> list[str]:
        """The fields at fault among the details."""
        bad_request = BadRequest()
        for detail in self.status.details if self.status else ():
            detail.Unpack(bad_request)
        return [violation.field for violation in bad_request.field_violations]


class HostileClient:
    """Calls any method by its name with any bytes; nothing is sent again."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        options = [("grpc.enable_retries", 0), ("grpc.max_receive_message_length", 64 << 20)]
        # Their stubs know no calls of bytes.
        self._channels: dict[str, Any] = {
            owner: grpc.aio.insecure_channel(environment[f"{owner}_ADDRESS"], options=options)
            for owner in sorted(set(OWNERS.values()))
        }

    async def close(self) -> None:
        """Lets go of the connections."""
        for channel in self._channels.values():
            await channel.close()

    async def call(self, method: MethodDescriptor, request: Message | bytes) -> Answer:
        """Calls and reads to the end; a watch that is not refused is left after a moment, and counts as OK."""
        content = request if isinstance(request, bytes) else request.SerializeToString()
        channel = self._channels[OWNERS[path_of(method).split(".")[1]]]
        try:
            if not method.server_streaming:
                await channel.unary_unary(path_of(method))(content, timeout=CALL_SECONDS)
            elif method.name.startswith("Watch"):
                await self._read_a_while(channel.unary_stream(path_of(method))(content, timeout=CALL_SECONDS))
            else:
                async for _ in channel.unary_stream(path_of(method))(content, timeout=CALL_SECONDS):
                    pass
        except grpc.aio.AioRpcError as refusal:
            return Answer(refusal.code(), refusal.details() or "", status_of(refusal))
        return Answer(grpc.StatusCode.OK)

    async def _read_a_while(self, call: Any) -> None:
        try:
            async with asyncio.timeout(WATCH_SECONDS):
                async for _ in call:
                    pass
        except TimeoutError:
            call.cancel()


def faults(answer: Answer, request: Descriptor) -> list[str]:
    """What is wrong with an answer, in a sentence each; nothing if it is as every answer has to be."""
    if answer.code is grpc.StatusCode.OK:
        return []
    if answer.code in DEFECTS:
        return [f"the code is {answer.code.name}"]
    found = []
    if not answer.reason:
        found.append(f"{answer.code.name} comes without a reason")
    if answer.code is grpc.StatusCode.INVALID_ARGUMENT and answer.reason not in OF_NO_FIELD and not answer.fields:
        found.append("no field is named")
    found += [f"the request has no field {field}" for field in answer.fields if not has_field(request, field)]
    if leak := INTERNALS.search(answer.message):
        found.append(f"{leak.group()} is told")
    if "\n" in answer.message or len(answer.message) > LONGEST_MESSAGE:
        found.append("the message is no line that a person reads")
    return found


def has_field(message: Descriptor, path: str) -> bool:
    """Whether `a.b[2].c` leads to a field, or to a choice of fields, of such a message."""
    inside: Descriptor | None = message
    for name in re.sub(r"\[\d+\]", "", path).split("."):
        if inside is None:
            return False
        field = inside.fields_by_name.get(name)
        if field is None and name not in inside.oneofs_by_name:
            return False
        inside = field.message_type if field is not None else None
    return True
