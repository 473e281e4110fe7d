"""The services that analytics asks: the registry, which is kept at hand, and billing's usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from energy.billing.v1 import usage_service_pb2
from energy.billing.v1.usage_service_pb2_grpc import UsageServiceStub

from analytics.config import AnalyticsConfig
from common.grpc_client import open_channel
from common.lifecycle import Lifecycle
from common.registry_cache import REGISTRY_SERVICE, RegistryCache

if TYPE_CHECKING:
    # Exists only for the type checker.
    from energy.billing.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

_USAGE = usage_service_pb2.DESCRIPTOR.services_by_name["UsageService"].full_name


def open_registry(lifecycle: Lifecycle, config: AnalyticsConfig) -> RegistryCache:
    """The registered devices, kept fresh until the end."""
    cache = RegistryCache(open_channel(config.gateway_address, serving=REGISTRY_SERVICE))
    lifecycle.on_close("registry", cache.close)
    lifecycle.start_task("registry", cache.run())
    return cache


def open_usage(lifecycle: Lifecycle, config: AnalyticsConfig) -> UsageServiceAsyncStub:
    """A stub of billing's usage, closed at the end."""
    billing = open_channel(config.billing_address, serving=_USAGE)
    lifecycle.on_close("billing", billing.close)
    usage: UsageServiceAsyncStub = UsageServiceStub(billing)
    return usage
