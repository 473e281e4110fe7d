"""What pricing a reading needs to know of its device, and whom it asks."""

from typing import Protocol


class RegisteredDevice(Protocol):
    """A device as it is registered: its account, its region, its kind (a `DeviceKind`) and the zone of its site."""

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
    def region(self) -> str:
        """The region of the grid that it is in."""

    @property
    def time_zone(self) -> str:
        """The zone its days and tariff hours are local to."""


class DeviceRegistry(Protocol):
    """Finds devices."""

    async def find(self, device_id: str) -> RegisteredDevice:
        """The device of an id.

        Raises:
            DeviceNotFound: none has this id.
        """
