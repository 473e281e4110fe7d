"""What pricing a reading needs to know of its device, and whom it asks."""

from collections.abc import Iterable, Sequence
from typing import Protocol


class RegisteredDevice(Protocol):
    """A device as it is registered: its account, its place, its kind (a `DeviceKind`) and the zone of its site."""

    @property
    def device_id(self) -> str:
        """Its identity."""

    @property
    def kind(self) -> int:
        """What it measures."""

    @property
    def account_id(self) -> str:
        """The account that pays for it."""

    @property
    def site_id(self) -> str:
        """The site it stands at; may be empty."""

    @property
    def group_ids(self) -> Sequence[str]:
        """The groups it belongs to."""

    @property
    def region(self) -> str:
        """The region of the grid that it is in."""

    @property
    def time_zone(self) -> str:
        """The zone its days and tariff hours are local to."""

    @property
    def create_time_ms(self) -> int:
        """When it was registered, UTC milliseconds."""

    @property
    def update_time_ms(self) -> int:
        """When it last changed, UTC milliseconds."""

    @property
    def is_decommissioned(self) -> bool:
        """Whether it is out of operation for good."""


class DeviceRegistry(Protocol):
    """Finds devices."""

    async def find(self, device_id: str) -> RegisteredDevice:
        """The device of an id.

        Raises:
            DeviceNotFound: none has this id.
        """

    def devices(self) -> Iterable[RegisteredDevice]:
        """Every device that is known here, in no particular order."""
