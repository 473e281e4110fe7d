"""Replicas share partitions: the rule alone, stepped through by hand and by many made-up fleets of replicas."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from common.partition_leases import HANDED_OVER, Shares, Sightings, fair_shares

LEASE_SECONDS = 4.0

owners_and_members = st.integers(1, 6).flatmap(
    lambda replicas: st.tuples(
        st.just([f"replica-{number}" for number in range(replicas)]),
        st.lists(
            st.one_of(st.none(), st.integers(0, replicas - 1).map(lambda number: f"replica-{number}")),
            min_size=1,
            max_size=40,
        ).map(lambda owners: dict(enumerate(owners))),
    )
)


def counts(members: list[str], owners: dict[int, str | None]) -> list[int]:
    """How many partitions each member holds."""
    return [sum(owner == member for owner in owners.values()) for member in members]


def step(me: str, members: list[str], owners: dict[int, str | None]) -> Shares:
    """One replica does at once what the rule says."""
    shares = fair_shares(me, members, owners)
    owners |= dict.fromkeys(shares.take, me)
    owners |= dict.fromkeys(shares.give_back)
    return shares


def test_the_only_replica_takes_everything_at_once() -> None:
    """Whoever is alone waits for nobody."""
    assert fair_shares("a", ["a"], dict.fromkeys(range(8))) == Shares(take=tuple(range(8)))


def test_two_who_start_together_do_not_run_for_the_same() -> None:
    """Both see the same, so each takes its own half."""
    owners: dict[int, str | None] = dict.fromkeys(range(8))

    assert fair_shares("a", ["a", "b"], owners).take == (0, 1, 2, 3)
    assert fair_shares("b", ["b", "a"], owners).take == (4, 5, 6, 7)


def test_a_newcomer_is_given_its_share_by_halves() -> None:
    """Of a surplus of four two go back first, and those on their way back are not given again."""
    owners: dict[int, str | None] = dict.fromkeys(range(8), "a")

    first = fair_shares("a", ["a", "b"], owners)
    then = fair_shares("a", ["a", "b"], owners | dict.fromkeys(first.give_back, HANDED_OVER))

    assert (first, then) == (Shares(give_back=(6, 7)), Shares(give_back=(5,)))


def test_more_replicas_than_partitions_leave_some_without() -> None:
    """Nobody is robbed of its only one."""
    owners: dict[int, str | None] = {0: "a", 1: "c"}

    assert [fair_shares(me, ["a", "b", "c"], owners) for me in "abc"] == [Shares()] * 3


def test_a_lease_of_a_stranger_is_not_taken() -> None:
    """Its owner is not seen any more, but its time is not over."""
    assert fair_shares("a", ["a"], {0: "stranger", 1: None}) == Shares(take=(1,))


@given(owners_and_members, st.randoms(use_true_random=False))
def test_shares_become_even_and_then_stay(fleet: tuple[list[str], dict[int, str | None]], order: random.Random) -> None:
    """From any start, in any order of turns, after a few turns each; then nobody moves anything."""
    members, owners = fleet
    turns = 0
    while any(fair_shares(me, members, owners) != Shares() for me in members):
        for me in order.sample(members, len(members)):
            step(me, members, owners)
        turns += 1
        assert turns <= 8, owners

    held = counts(members, owners)
    assert sum(held) == len(owners)
    assert max(held) - min(held) <= 1


@given(owners_and_members)
def test_what_is_free_is_taken_in_one_turn_of_all(fleet: tuple[list[str], dict[int, str | None]]) -> None:
    """Each acts on the same sight: every free partition has exactly one taker."""
    members, owners = fleet

    taken = [partition for me in members for partition in fair_shares(me, members, owners).take]

    assert sorted(taken) == sorted(partition for partition, owner in owners.items() if owner is None)


@given(owners_and_members)
def test_nobody_gives_what_it_needs_nor_takes_more_than_its_share(
    fleet: tuple[list[str], dict[int, str | None]],
) -> None:
    """After any single step a replica is nearer to its share or as near as before."""
    members, owners = fleet
    least, more = divmod(len(owners), len(members))
    for me in members:
        shares = fair_shares(me, members, owners)
        before = counts([me], owners)[0]
        after = before + len(shares.take) - len(shares.give_back)

        assert not (shares.take and shares.give_back)
        assert after >= min(before, least)
        assert after <= max(before, least + bool(more))


@given(owners_and_members, st.integers(0, 5))
def test_a_death_moves_only_what_the_dead_one_held(fleet: tuple[list[str], dict[int, str | None]], number: int) -> None:
    """The others keep theirs and share what became free, in two turns each at most."""
    members, owners = fleet
    while any(step(me, members, owners) != Shares() for me in members):
        pass
    dead = members[number % len(members)]
    living = [member for member in members if member != dead]
    if not living:
        return
    left = {partition: None if owner == dead else owner for partition, owner in owners.items()}

    for me in [*living, *living]:
        assert fair_shares(me, living, left).give_back == ()
        step(me, living, left)

    assert None not in left.values()
    assert all(left[partition] == owner for partition, owner in owners.items() if owner != dead)


def seen(*looks: tuple[float, dict[str, int]]) -> set[str]:
    """Who lives by the last of some looks."""
    sightings = Sightings(LEASE_SECONDS)
    living: set[str] = set()
    for now, heartbeats in looks:
        living = sightings.living(heartbeats, now)
    return living


def test_a_heart_that_beats_lives_and_one_that_stands_still_for_a_lease_does_not() -> None:
    """Only the change of the count matters, whoever's clock made it."""
    looks = [(float(second), {"a": second, "b": 7}) for second in range(5)]

    assert seen(*looks[:4]) == {"a", "b"}
    assert seen(*looks) == {"a"}


def test_a_newcomer_lives_from_its_first_sight() -> None:
    """However old its count."""
    assert seen((0.0, {}), (1.0, {"a": 1_000_000})) == {"a"}


def test_nobody_is_taken_for_dead_after_a_pause_of_the_observer() -> None:
    """After an outage of the store all counts stand where they stood, for nobody could write either."""
    assert seen((0.0, {"a": 7}), (1.0, {"a": 7}), (60.0, {"a": 7})) == {"a"}
    assert seen((0.0, {"a": 7}), (60.0, {"a": 7}), *((60.0 + n, {"a": 7}) for n in range(1, 5))) == set()


def test_a_successor_of_the_same_name_goes_on_counting() -> None:
    """A replica that is started again within its lease was never away."""
    assert seen((0.0, {"a": 7}), (1.0, {"a": 7}), (2.0, {"a": 7}), (3.0, {"a": 8}), (4.0, {"a": 8})) == {"a"}
