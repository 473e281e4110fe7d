"""Which registered devices a summary of usage is over."""

from collections.abc import Sequence

from energy.billing.v1.usage_service_pb2 import SummarizeUsageRequest

from billing.usage import usage_request as checked
from common.registry_cache import CachedDevice, RegistryCache


async def devices_of(request: SummarizeUsageRequest, registry: RegistryCache) -> Sequence[CachedDevice]:
    """The devices of the scope of a summary, as they are registered now; none where nothing is registered in it.

    Raises:
        InvalidArgument: none or more than one scope is given, or too many devices are named.
        DeviceNotFound: one that is named is not registered.
        DependencyUnavailable: one that is named is not known here, and the registry is away.
    """
    scope = checked.summary_scope(request)
    if scope == "device_ids":
        return [await registry.find(device_id) for device_id in checked.device_ids(scope, request.device_ids)]
    if scope == "region":
        return registry.by_region(request.region)
    if scope == "account_id":
        return registry.by_account(request.account_id)
    if scope == "group_id":
        return registry.by_group(request.group_id)
    if scope == "site_id":
        return registry.by_site(request.site_id)
    return list(registry.devices())
