"""Makes the benched devices known, and waits until every service knows them."""

from __future__ import annotations

import asyncio
import time

from energy.registry.v1.registry_service_pb2 import BatchCreateDevicesRequest
from energy.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

from common.grpc_client import SLOW_TIMEOUT_SECONDS
from loadgen.bench.fleet import BenchFleet
from loadgen.bench.metrics_page import scrape, sums
from loadgen.bench.rig import Rig
from loadgen.registration import RegistrationRefused

_DEVICES_A_CALL = 1_000
_CALLS_AT_ONCE = 4
_REGISTER_SECONDS = 150.0
_KNOWN_SECONDS = 20.0
_POLL_SECONDS = 0.5


async def register_up_to(rig: Rig, devices: int) -> float:
    """Registers the devices of the fleet that are not yet, up to a number; returns how many seconds that took.

    Raises:
        RegistrationRefused: the registry does not take one.
        TimeoutError: it takes more than two and a half minutes.
        grpc.aio.AioRpcError: a call failed.
    """
    first = rig.registered
    if first >= devices:
        return 0.0
    began_seconds = time.monotonic()
    await _register(rig, BenchFleet(rig.fleet.prefix, devices), first)
    rig.registered = devices
    seconds = time.monotonic() - began_seconds
    await _wait_known(rig)
    return seconds


async def register_beside(rig: Rig, fleet: BenchFleet) -> None:
    """Registers a fleet that sends for one row only.

    Raises:
        RegistrationRefused: the registry does not take one.
        TimeoutError: it takes more than two and a half minutes.
        grpc.aio.AioRpcError: a call failed.
    """
    await _register(rig, fleet, 0)
    rig.registered_beside += fleet.size
    await _wait_known(rig)


async def _register(rig: Rig, fleet: BenchFleet, first: int) -> None:
    devices = fleet.size
    rig.say(f"  registering {devices - first:,} devices")
    registry = RegistryServiceStub(rig.gateway)
    starts = iter(range(first, devices, _DEVICES_A_CALL))

    async def register() -> None:
        for start in starts:
            chunk = fleet.devices(start, min(start + _DEVICES_A_CALL, devices))
            response = await registry.BatchCreateDevices(
                BatchCreateDevicesRequest(devices=chunk), timeout=SLOW_TIMEOUT_SECONDS
            )
            if response.refused:
                raise RegistrationRefused(f"{len(response.refused)} devices of the benchmark were refused")

    async with asyncio.timeout(_REGISTER_SECONDS):
        await asyncio.gather(*(register() for _ in range(_CALLS_AT_ONCE)))


async def _wait_known(rig: Rig) -> None:
    """Until analytics counts them: it waits for the news of a device before it counts its first reading."""
    ports = rig.processes().metrics_ports().get("analytics", ())
    give_up_seconds = time.monotonic() + _KNOWN_SECONDS
    while time.monotonic() < give_up_seconds:
        for port in ports:
            if sums(await scrape(port), ("devices",)).get("devices", 0.0) >= rig.registered + rig.registered_beside:
                return
        await asyncio.sleep(_POLL_SECONDS)
