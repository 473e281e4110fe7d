"""How often the registry is asked for changes, so that a large registration does not starve of the questions."""

from itertools import pairwise

import pytest

from gateway.registry_looks import LONG_OVERLAP_MS, OVERLAP_MS, Look, RegistryLooks


def looks_of(looks: RegistryLooks, seconds: int, took_seconds: float) -> list[tuple[float, Look]]:
    """The questions asked in a time, and when, each taking the same."""
    now, asked = 0.0, []
    while now < seconds:
        asked_at = now
        look = looks.next(asked_at)
        asked.append((asked_at, look))
        now += took_seconds
        now += looks.answered(look, asked_at, now)
    return asked


def test_an_idle_registry_is_asked_each_second_and_far_back_every_fifteenth_time() -> None:
    """Questions that cost nothing are asked as often as planned."""
    asked = looks_of(RegistryLooks(1.0, 0.0), 60, 0.0)

    assert len(asked) == 60
    assert [at for at, look in asked if look.is_long] == [14, 29, 44, 59]
    assert {look.reach_ms for _, look in asked if not look.is_long} == {OVERLAP_MS}


@pytest.mark.parametrize("took_seconds", [0.5, 2.0])
def test_slow_questions_are_asked_less_often_yet_in_time(took_seconds: float) -> None:
    """A change is told within five seconds also when each question takes half a second or two."""
    asked = looks_of(RegistryLooks(1.0, 0.0), 600, took_seconds)

    gaps = [later - at for (at, _), (later, _) in pairwise(asked)]
    assert max(gaps) <= 5.0
    assert min(gaps[20:]) >= 1.0 + took_seconds


def test_slow_questions_far_back_rest_long_and_reach_over_the_rest() -> None:
    """Whatever is written within two minutes of its stamp is found by one of them, however rare they are."""
    asked = looks_of(RegistryLooks(1.0, 0.0), 2_000, 6.0)

    long_ones = [(at, look.reach_ms) for at, look in asked if look.is_long]
    assert len(long_ones) > 10
    for (before, _), (at, reach_ms) in pairwise(long_ones):
        assert at - before >= 20 * 6.0
        assert reach_ms == LONG_OVERLAP_MS + round((at - before) * 1000)


def test_a_failed_question_far_back_is_made_up_for_by_the_next_one() -> None:
    """When the store is away writes take longest: what came late meanwhile must not fall between two questions."""
    looks = RegistryLooks(1.0, 0.0)
    failed: list[int] = []
    later: list[tuple[int, int]] = []
    for second in range(60):
        look = looks.next(second)
        if not look.is_long:
            looks.answered(look, second, second)
        elif not failed:
            failed.append(second)
        else:
            looks.answered(look, second, second)
            later.append((second, look.reach_ms))

    assert failed == [14]
    assert later[0] == (29, LONG_OVERLAP_MS + 29_000)
    assert later[1] == (44, LONG_OVERLAP_MS + 15_000)
