"""What marks hold: which of them go whole when segments are folded, and of which a part goes."""

from billing.log.mark_contents import MarkContents


def test_a_mark_goes_whole_with_the_last_of_its_segments() -> None:
    """Until then only what is folded goes from it."""
    contents = MarkContents()
    contents.know("m", ["a", "b", "c"])

    whole, parts = contents.take(["a", "b"])
    contents.gone(whole, parts)

    assert (whole, parts) == ([], {"m": ["a", "b"]})
    assert contents.take(["a", "b", "c"]) == (["m"], {})


def test_what_was_not_taken_note_of_is_taken_again() -> None:
    """As after a write that failed."""
    contents = MarkContents()
    contents.know("m", ["a"])

    assert contents.take(["a"]) == contents.take(["a"]) == (["m"], {})
    contents.gone(["m"], {})

    assert "a" not in contents
    assert contents.take(["a"]) == ([], {})


def test_what_has_no_room_is_not_known() -> None:
    """What is known already stays, and a mark told of again takes no more room."""
    contents = MarkContents(3)
    contents.know("first", ["a", "b"])
    contents.know("second", ["c", "d"])
    contents.know("first", ["a", "b"])
    contents.know("third", ["e"])

    assert [batch_id in contents for batch_id in "abcde"] == [True, True, False, False, True]
    assert contents.mark_ids == {"first", "third"}


def test_a_segment_in_two_marks_goes_from_both() -> None:
    """As one that was delivered again; forgetting one mark leaves the other."""
    contents = MarkContents()
    contents.know("old", ["a", "b"])
    contents.know("new", ["a"])

    assert contents.take(["a"]) == (["new"], {"old": ["a"]})
    contents.forget("old")
    assert ("a" in contents, "b" in contents) == (True, False)
    assert contents.take(["a", "b"]) == (["new"], {})
