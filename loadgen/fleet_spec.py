"""What fleet is asked for: how many devices of each kind, where, in which mood, and from which seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from loadgen.meter import LoadMode

DEFAULT_REGIONS = ("Mumbai-North", "Delhi-North", "Bangalore-East", "Pune-West")

_LONGEST_INTERVAL_MS = 31 * 86_400_000
_LONGEST_PREFIX = 64
_PREFIX = re.compile(r"[A-Za-z0-9._:-]*")


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """Counts of households, of vehicles with a charger each, of grid batteries and of energy sensors, and the rest.

    `mode` acts on the households' meters. `id_prefix` stands before every id of device, account and site, so that two
    fleets can share a mesh.

    Raises:
        ValueError: a setting is out of range; the text names it.
    """

    meters: int = 0
    vehicles: int = 0
    packs: int = 0
    sensors: int = 0
    interval_ms: int = 60_000
    mode: LoadMode = LoadMode.NORMAL
    seed: int = 1
    time_zone: str = "Asia/Kolkata"
    regions: tuple[str, ...] = DEFAULT_REGIONS
    id_prefix: str = ""

    def __post_init__(self) -> None:
        for name in ("meters", "vehicles", "packs", "sensors"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if not 1 <= self.interval_ms <= _LONGEST_INTERVAL_MS:
            raise ValueError("interval_ms must be 1 millisecond to 31 days")
        if not self.regions or not all(self.regions):
            raise ValueError("regions must hold at least one name, and no empty one")
        if len(self.id_prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(self.id_prefix):
            raise ValueError(f"id_prefix must be up to {_LONGEST_PREFIX} characters of A-Z a-z 0-9 . _ : -")
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"time_zone must be an IANA zone, not {self.time_zone!r}") from error
        # A plain string is welcome where a command line hands one over.
        object.__setattr__(self, "mode", LoadMode(self.mode))
