"""Which registered devices a question is about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from energy.registry.v1 import device_pb2

from common.errors import DependencyUnavailable, FieldViolation, InvalidArgument, ScopeEmpty
from common.registry_cache import CachedDevice, RegistryCache

# Looking at so many devices takes a few milliseconds; then others have their turn.
_DEVICES_AT_A_TIME = 10_000

_METER, _STORAGE = device_pb2.DEVICE_KIND_METER, device_pb2.DEVICE_KIND_STORAGE


@dataclass(frozen=True, slots=True)
class Scope:
    """Devices of one kind: `field` is the name of the field of a `DeviceScope` that was given, `name` what it says.

    `kind` is the number of `energy.registry.v1.DeviceKind`; 0 is that of the device, and of several devices a meter.
    """

    field: str
    name: str
    kind: int = 0

    def __str__(self) -> str:
        """As people read it."""
        return "all" if self.field == "all" else f"{self.field.removesuffix('_id')} {self.name}"


async def devices_of(scope: Scope, registry: RegistryCache, *, kind_field: str = "kind") -> Sequence[CachedDevice]:
    """The devices of a scope by id; at least one, and of one kind. `kind_field` of the request decides on the kind.

    Raises:
        DeviceNotFound: there is no such device.
        InvalidArgument: it is of another kind.
        ScopeEmpty: there is none of the kind.
        DependencyUnavailable: the registry was never reached, so that the devices are not known.
    """
    if scope.field == "device_id":
        return [_of_kind(await registry.find(scope.name), scope.kind, kind_field)]
    if not registry.is_complete:
        raise DependencyUnavailable("registry")
    kind = scope.kind or _METER
    found = await _chosen(_candidates(scope, registry), _belongs(scope), {kind})
    if not found:
        raise ScopeEmpty(str(scope), kind_name(kind).lower())
    return sorted(found, key=lambda device: device.device_id)


async def meters_and_batteries_of(site_id: str, registry: RegistryCache) -> Sequence[CachedDevice]:
    """The meters and batteries of a site by id; at least one.

    Raises:
        ScopeEmpty: there is none.
        DependencyUnavailable: the registry was never reached, so that the devices are not known.
    """
    if not registry.is_complete:
        raise DependencyUnavailable("registry")
    scope = Scope("site_id", site_id)
    found = await _chosen(registry.devices(), _belongs(scope), {_METER, _STORAGE})
    if not found:
        raise ScopeEmpty(str(scope), "meter or storage")
    return sorted(found, key=lambda device: device.device_id)


def kind_name(kind: int) -> str:
    """The name of a kind, as errors tell it."""
    return device_pb2.DeviceKind.Name(kind).removeprefix("DEVICE_KIND_")  # type: ignore[arg-type]


def _of_kind(device: CachedDevice, kind: int, kind_field: str) -> CachedDevice:
    if kind not in {0, device.kind}:
        wrong = f"the device is a {kind_name(device.kind).lower()}, not a {kind_name(kind).lower()}"
        mismatch = FieldViolation(kind_field, "KIND_MISMATCH", wrong)
        raise InvalidArgument([mismatch], metadata={"device_id": device.device_id, "kind": kind_name(device.kind)})
    return device


def _candidates(scope: Scope, registry: RegistryCache) -> Iterable[CachedDevice]:
    if scope.field == "region":
        return registry.by_region(scope.name)
    if scope.field == "account_id":
        return registry.by_account(scope.name)
    return registry.devices()


def _belongs(scope: Scope) -> Callable[[CachedDevice], bool]:
    if scope.field == "site_id":
        return lambda device: device.site_id == scope.name
    if scope.field == "group_id":
        return lambda device: scope.name in device.group_ids
    return lambda _: True


async def _chosen(
    candidates: Iterable[CachedDevice], belongs: Callable[[CachedDevice], bool], kinds: Collection[int]
) -> list[CachedDevice]:
    found: list[CachedDevice] = []
    remaining = iter(candidates)
    while piece := list(islice(remaining, _DEVICES_AT_A_TIME)):
        found += [device for device in piece if device.kind in kinds and belongs(device)]
        await asyncio.sleep(0)
    return found
