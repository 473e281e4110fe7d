"""Page tokens and page sizes."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidArgument, PageTokenInvalid
from common.paging import decode_token, encode_token, page_size

_KEYS = st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans(), st.none()))


@given(_KEYS, _KEYS)
def test_a_token_gives_back_the_key_it_was_made_of(last_key: dict[str, object], filters: dict[str, object]) -> None:
    """Under the same filters, whatever they are."""
    assert decode_token(encode_token(last_key, filters), filters) == last_key


def test_the_order_of_the_filters_does_not_matter() -> None:
    """The same filters named in another order are the same filters."""
    token = encode_token({"device_id": "meter-1"}, {"region": "north", "kind": "METER"})

    assert decode_token(token, {"kind": "METER", "region": "north"}) == {"device_id": "meter-1"}


def test_the_empty_token_is_the_first_page() -> None:
    """An absent token is no error."""
    assert decode_token("", {}) is None


def test_a_token_under_other_filters_is_refused() -> None:
    """A key from one list would skip items of another."""
    token = encode_token({"device_id": "meter-1"}, {"region": "north"})

    with pytest.raises(PageTokenInvalid):
        decode_token(token, {"region": "south"})


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "!!!!",
        "bnVsbA",
        base64.urlsafe_b64encode(b"[" * 2000).decode(),
        base64.urlsafe_b64encode(json.dumps({"k": {}, "f": "other"}).encode()).decode(),
        "A" * 5000,
    ],
)
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    """Garbage gives INVALID_ARGUMENT with the field named, never another error."""
    with pytest.raises(PageTokenInvalid) as refused:
        decode_token(token, {})

    assert [violation.field for violation in refused.value.violations] == ["page_token"]


@pytest.mark.parametrize(("requested", "expected"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_has_the_size_asked_for_within_its_limit(requested: int, expected: int) -> None:
    """Zero is the default; too large is coerced."""
    assert page_size(requested, default=50, maximum=1000) == expected


def test_a_negative_page_size_is_refused() -> None:
    """The violation names the field."""
    with pytest.raises(InvalidArgument) as refused:
        page_size(-1, default=50, maximum=1000)

    assert refused.value.reason == "OUT_OF_RANGE"
    assert refused.value.violations[0].field == "page_size"
