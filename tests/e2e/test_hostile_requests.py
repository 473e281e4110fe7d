"""A hostile client of the whole mesh: whatever it sends is answered in the words of the contract, nothing breaks."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from energy.billing.v1.tariff_pb2 import FlatPricing, Tariff, TariffAssignment
from energy.billing.v1.tariff_service_pb2 import AssignTariffRequest, CreateTariffRequest
from energy.registry.v1 import device_pb2
from energy.registry.v1.registry_service_pb2 import CreateDeviceRequest
from google.protobuf.descriptor import MethodDescriptor
from google.type.money_pb2 import Money

from common.health_probe import is_serving
from common.instants import from_ms
from common.localstack.mesh import Mesh
from tests.e2e.hostile_calls import OWNERS, HostileClient, faults, methods, path_of
from tests.e2e.hostile_requests import EDGES, NOW, HostileRequests
from tests.e2e.mesh_client import CALL_SECONDS, MeshClient, eventually

SEED = 20261128
REQUESTS = 36
REQUESTS_AN_EDGE = 6
HOSTILITIES = (0.0, 0.02, 0.05, 0.15, 0.4, 1.0)
SERVICES = ("gateway", "ingestion", "billing", "analytics")
NAMES = {
    "device_id": ("meter-1", "meter-2", "vehicle-1", "pack-1", "nobody"),
    "device_ids": ("meter-1", "meter-2"),
    "meter_id": ("meter-1", "vehicle-1"),
    "meter_ids": ("meter-1", "meter-2"),
    "vehicle_id": ("vehicle-1",),
    "account_id": ("acc-1", "acc-2"),
    "site_id": ("site-1",),
    "group_id": ("group-1",),
    "group_ids": ("group-1",),
    "region": ("Pune-East",),
    "regions": ("Pune-East",),
    "time_zone": ("Asia/Kolkata",),
    "tariff_id": ("flat-6", "tariff-2"),
    "tariff_ids": ("flat-6",),
    "invoice_id": ("acc-1@2026-11-01@2026-11-02", "acc-1@2026-11-01@2026-11-02@2"),
    "currency_code": ("INR",),
    "token": ("",),
    "recipient_id": ("jo",),
}
# Bytes that are no message, or only to a reader that does not look: cut, endless, of a wrong type, not UTF-8, deep.
NO_MESSAGES = (
    b"\x0a",
    b"\x0a\xff\xff\xff\xff\x0f",
    b"\xff" * 64,
    b"\x0a\x04\xff\xfe\xfd\xfc",
    b"\x0d\x01\x02\x03\x04" * 10,
    b"\x0b" * 50_000,
    b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hostile(mesh: Mesh) -> AsyncIterator[HostileClient]:
    """Who means harm, in a mesh that has something to lose."""
    async with MeshClient.connected(mesh.environment) as operator:
        kinds = {
            "meter-1": device_pb2.DEVICE_KIND_METER,
            "meter-2": device_pb2.DEVICE_KIND_METER,
            "vehicle-1": device_pb2.DEVICE_KIND_VEHICLE,
            "pack-1": device_pb2.DEVICE_KIND_STORAGE,
        }
        for device_id, kind in kinds.items():
            device = device_pb2.Device(
                device_id=device_id,
                kind=kind,
                account_id="acc-1",
                site_id="site-1",
                region="Pune-East",
                time_zone="Asia/Kolkata",
            )
            await operator.registry.CreateDevice(CreateDeviceRequest(device=device), timeout=CALL_SECONDS)
        price = FlatPricing(price_per_kwh=Money(currency_code="INR", units=6))
        tariff = Tariff(tariff_id="flat-6", currency_code="INR", flat=price)
        await operator.tariffs.CreateTariff(CreateTariffRequest(tariff=tariff), timeout=CALL_SECONDS)
        assignment = TariffAssignment(device_id="meter-1", tariff_id="flat-6", start_time=from_ms(1_767_225_600_000))
        await operator.tariffs.AssignTariff(AssignTariffRequest(assignment=assignment), timeout=CALL_SECONDS)
    client = HostileClient(mesh.environment)
    yield client
    await client.close()


async def unbroken(mesh: Mesh) -> bool:
    """Whether every service is green, and still the process that was started."""
    return all(
        mesh.keepers[service].start_count == 1 and is_serving(mesh.environment[f"{service.upper()}_ADDRESS"])
        for service in SERVICES
    )


@pytest.mark.parametrize("method", [pytest.param(method, id=path_of(method)[1:]) for method in methods()])
async def test_whatever_a_method_is_asked_it_answers_in_the_words_of_the_contract(
    mesh: Mesh, hostile: HostileClient, method: MethodDescriptor
) -> None:
    """Refusals have a reason and name fields of the request; nothing is a defect, late, or tells what is inside."""
    requests = HostileRequests(SEED, NAMES)

    found = {}
    kinds = [(HOSTILITIES[index % len(HOSTILITIES)], NOW) for index in range(REQUESTS)]
    kinds += [(0.0, era) for era in EDGES for _ in range(REQUESTS_AN_EDGE)]
    for hostility, era in kinds:
        request = requests.request(method.input_type, hostility=hostility, era=era)
        if request.ByteSize() > (1 << 20):
            continue
        answer = await hostile.call(method, request)
        for fault in faults(answer, method.input_type):
            found[fault] = f"{answer.message[:200]!r} to {str(request)[:500]!r}"

    assert found == {}
    await eventually(lambda: unbroken(mesh))


async def test_an_empty_request_is_answered_in_the_words_of_the_contract(hostile: HostileClient) -> None:
    """By every method: what is required is named."""
    found = {}
    for method in methods():
        answer = await hostile.call(method, b"")
        if wrong := faults(answer, method.input_type):
            found[path_of(method)] = (wrong, answer.message[:200])

    assert found == {}


async def test_bytes_that_are_no_message_are_refused_by_every_method(mesh: Mesh, hostile: HostileClient) -> None:
    """Such bytes are never a defect of the service, and neither are bytes by chance."""
    chance = random.Random(SEED)
    found = {}
    for method in methods():
        for content in (*NO_MESSAGES, *(chance.randbytes(chance.randint(1, 200)) for _ in range(5))):
            answer = await hostile.call(method, content)
            if wrong := faults(answer, method.input_type):
                found[path_of(method)] = (wrong, answer.message[:200], content[:40])

    assert found == {}
    await eventually(lambda: unbroken(mesh))


async def test_a_request_over_the_limit_is_refused_before_it_is_read(mesh: Mesh, hostile: HostileClient) -> None:
    """By every service, and it serves on."""
    first_of = {OWNERS[path_of(method).split(".")[1]]: method for method in methods()}

    answers = {owner: await hostile.call(method, b"\x0a" + bytes(5 << 20)) for owner, method in first_of.items()}

    assert {answer.code for answer in answers.values()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    await eventually(lambda: unbroken(mesh))


async def test_nothing_that_was_sent_stands_in_the_log_as_a_line_of_its_own(mesh: Mesh, hostile: HostileClient) -> None:
    """Every line is a record of the service itself, and none says that a call failed for a reason nobody foresaw."""
    for method in methods():
        await hostile.call(method, HostileRequests(SEED + 1, NAMES).request(method.input_type, hostility=1.0))

    log_dir = Path(mesh.environment["GRIDMESH_RUN_DIR"]) / "log"
    for service in SERVICES:
        lines = (log_dir / f"{service}.log").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [record for record in records if record["level"] in {"error", "critical"}] == []
