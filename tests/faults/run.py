"""Rounds one after the other on one mesh, and in the end all their histories once more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from common.localstack.addresses import SERVICE_NAMES
from tests.faults.answers import Answers
from tests.faults.fault import Fault
from tests.faults.health_watch import HealthWatch
from tests.faults.mesh import FaultyMesh
from tests.faults.round import Round
from tests.faults.round_result import Load, RoundResult

_WINDOWS_SECONDS = 60.0


async def play(
    mesh: FaultyMesh,
    faults: Sequence[Fault],
    *,
    seed: str,
    load: Load,
    ends_at: float = math.inf,
    tell: Callable[[RoundResult], None] = lambda _: None,
) -> list[RoundResult]:
    """Plays the rounds and tells of each; each history is looked at again after the last round.

    Windows of the past are closed again in no haste, so those of all rounds have until `ends_at` together, by
    `time.monotonic()`, and a minute a round at most.
    """
    rounds: list[Round] = []
    addresses = {replica: mesh.address(replica) for name in SERVICE_NAMES for replica in mesh.replicas[name]}
    async with HealthWatch.over(addresses) as watch, Answers.of(mesh.answering()) as answers:
        for number, fault in enumerate(faults):
            played = Round(mesh, fault, seed=seed, prefix=f"round-{number:02d}", load=load)
            tell(await played.run(watch, answers))
            rounds.append(played)
        windows_until = min(ends_at, time.monotonic() + _WINDOWS_SECONDS * (1 + len(rounds)))
        for played in rounds:
            await played.look_back(answers, windows_until)
    return [played.result for played in rounds]
