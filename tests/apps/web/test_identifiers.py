"""Identifiers as addresses and people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.apps.web.exceptions import QueryError
from stream_assoc.apps.web.identifiers import parse_id, parse_visit

VISIT = 2025112000001


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"visit {VISIT}", (VISIT, None)),
        (f"Visit {VISIT}", (VISIT, None)),
        ("visit 5", (5, None)),
        (f"visit {VISIT} detector 4", (VISIT, 4)),
        (f"{VISIT} 4", (VISIT, 4)),
        (f"{VISIT}/4", (VISIT, 4)),
        (f"{VISIT}, 4", (VISIT, 4)),
        ("150 2", None),
        ("360 0", None),
        ("150.1 2.2", None),
        (f"{VISIT} 4.5", None),
        ("10:00:28 +02:12:21", None),
        ("visit", None),
        ("visit 1 2 3", None),
        ("visit " + "9" * 5000, None),
        ("", None),
    ],
)
def test_visits_and_positions_are_told_apart(text: str, named: tuple[int, int | None] | None) -> None:
    assert parse_visit(text) == named


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_told_to_be_none(text: str) -> None:
    try:
        value = parse_id(text)
    except QueryError:
        return
    assert value == int(text)


@given(st.integers(-(2**70), 2**70))
def test_ids_have_64_bits(value: int) -> None:
    if abs(value) < 2**63:
        assert parse_id(str(value)) == value
    else:
        with pytest.raises(QueryError, match="64 bits"):
            parse_id(str(value))
