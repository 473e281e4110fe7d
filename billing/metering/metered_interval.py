"""The intervals of one channel of a meter as validation and estimation look at them."""

from typing import NamedTuple


class MeteredInterval(NamedTuple):
    """The energy, milliwatt-hours, of [start_ms, start_ms + interval_ms) on one channel; None is not measured.

    `is_estimated` is true for what nobody measured; `receive_ms` is when the gateway received it. Instants are epoch
    milliseconds.
    """

    start_ms: int
    interval_ms: int
    energy_milliwatt_hours: int | None
    receive_ms: int = 0
    is_estimated: bool = False

    @property
    def end_ms(self) -> int:
        """Where it ends."""
        return self.start_ms + self.interval_ms


class LoadChannel(NamedTuple):
    """One of the two non-negative channels of a meter: the columns of its energy and of its register."""

    name: str
    energy_column: str
    register_column: str


CHANNELS = (
    LoadChannel("import", "import_milliwatt_hours", "import_register_milliwatt_hours"),
    LoadChannel("export", "export_milliwatt_hours", "export_register_milliwatt_hours"),
)
