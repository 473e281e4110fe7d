"""A charging session lasts from the first reading that charges to the first that does not, and is judged as a whole."""

from __future__ import annotations

from analytics.detection.charging_sessions import EVERY_MS, GIVEN_UP_MS, LONGEST_MS, ChargingSessions, whole_intervals
from analytics.usage.measured_energy import Window

MINUTE_MS = 60_000
NOON_MS = 1_750_000_000_000 // 86_400_000 * 86_400_000


def at(minutes: float) -> int:
    """So many minutes after noon."""
    return NOON_MS + round(minutes * MINUTE_MS)


def sessions_of_an_idle_vehicle() -> ChargingSessions:
    """A vehicle that did not charge before noon."""
    sessions = ChargingSessions()
    sessions.follow({}, {"v": at(-1)}, at(0))
    return sessions


def test_a_session_that_lasts_is_judged_every_quarter_of_an_hour_up_to_what_is_settled() -> None:
    """From its first reading on, by whole intervals."""
    sessions = sessions_of_an_idle_vehicle()
    windows = []
    for minute in range(1, 47):
        sessions.follow({"v": at(minute - 1)}, {}, at(minute))
        for session in sessions.due(at(minute)):
            windows.append(session.window(at(minute), MINUTE_MS))
            sessions.done(session, at(minute))

    assert windows == [Window(at(0), at(end)) for end in (14, 29, 44)]


def test_a_session_that_ends_is_judged_once_when_its_readings_have_settled() -> None:
    """Though it lasted for some minutes only."""
    sessions = sessions_of_an_idle_vehicle()
    windows = []
    for minute in range(1, 30):
        charges = minute <= 6
        now = {"v": at(minute - 1)}
        sessions.follow(now if charges else {}, {} if charges else now, at(minute))
        for session in sessions.due(at(minute)):
            if window := session.window(at(minute), MINUTE_MS):
                windows.append((minute, window))
                sessions.done(session, at(minute))

    assert windows == [(8, Window(at(0), at(6)))]


def test_a_session_that_goes_on_before_it_was_judged_is_one_session() -> None:
    """As when one reading between two says that the vehicle waits."""
    sessions = sessions_of_an_idle_vehicle()
    sessions.follow({"v": at(0)}, {}, at(1))
    sessions.follow({}, {"v": at(1)}, at(2))
    sessions.follow({"v": at(2)}, {}, at(3))
    sessions.follow({}, {"v": at(3)}, at(4))

    (session,) = sessions.due(at(9))
    assert session.window(at(9), MINUTE_MS) == Window(at(0), at(3))


def test_a_session_is_judged_by_whole_intervals_of_whoever_measures_least_often() -> None:
    """A reading counts where it starts."""
    sessions = sessions_of_an_idle_vehicle()
    sessions.follow({"v": at(7)}, {}, at(8))
    sessions.follow({}, {"v": at(20)}, at(21))
    (session,) = sessions.due(at(21))

    assert session.window(at(31.9), EVERY_MS) is None
    assert session.window(at(32), EVERY_MS) == Window(at(0), at(30))


def test_of_a_session_of_days_the_last_day_is_judged() -> None:
    """What was long ago does not hide what is now."""
    sessions = sessions_of_an_idle_vehicle()
    sessions.follow({"v": at(0)}, {}, at(1))
    (session,) = sessions.due(at(3 * 1440 + 2))

    assert session.window(at(3 * 1440 + 2), MINUTE_MS) == Window(at(3 * 1440) - LONGEST_MS, at(3 * 1440))


def test_a_vehicle_that_charges_when_it_is_first_looked_at_is_judged_at_once_and_from_before() -> None:
    """As after a restart, in the middle of its session; the next session begins where it does."""
    sessions = ChargingSessions()
    sessions.follow({"v": at(0)}, {}, at(1))
    (session,) = sessions.due(at(1))
    assert session.window(at(1), MINUTE_MS) == Window(at(-240), at(-1))

    sessions.follow({}, {"v": at(5)}, at(6))
    sessions.done(session, at(7))
    sessions.follow({"v": at(30)}, {}, at(31))
    (session,) = sessions.due(at(46))
    assert session.start_ms == at(30)


def test_a_session_that_cannot_be_judged_is_tried_again_for_an_hour() -> None:
    """Billing may be away."""
    sessions = sessions_of_an_idle_vehicle()
    sessions.follow({"v": at(0)}, {}, at(1))
    sessions.follow({}, {"v": at(5)}, at(6))
    (session,) = sessions.due(at(8))
    sessions.not_judged(session, at(8))
    assert sessions.due(at(9)) == [session]

    sessions.not_judged(session, at(5) + GIVEN_UP_MS + 1)
    assert sessions.due(at(999)) == []


def test_a_part_of_a_session_in_which_a_meter_was_linked_is_judged_by_its_whole_intervals() -> None:
    """Of those that are cut one side would miss what the other counts."""
    parts = [Window(at(7), at(44)), Window(at(0), at(14)), Window(at(0), at(15))]

    assert whole_intervals(parts, EVERY_MS) == [Window(at(0), at(15)), Window(at(15), at(30))]
