"""Identifiers, visits and positions as people write them; positions judged by astropy."""

import math

import pytest
from astropy.coordinates import Angle
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.apps.web.queries import QueryError, parse_id, parse_position, parse_visit

RA = st.floats(0.0, 359.9999, allow_nan=False)
DEC = st.floats(-90.0, 90.0, allow_nan=False)
SEPARATORS = st.sampled_from([" ", ", ", ",", "  "])


@given(RA, DEC, SEPARATORS, st.sampled_from(["", "d", "°", "deg"]))
def test_degrees_come_back_exactly(ra, dec, separator, unit) -> None:
    assert parse_position(f"{ra!r}{unit}{separator}{dec!r}{unit}") == (ra, dec)


@given(RA, DEC, SEPARATORS, st.sampled_from([":", " ", "hms"]))
def test_sexagesimal_is_what_astropy_reads(ra, dec, separator, style) -> None:
    hours = Angle(ra, "deg").to_string("hourangle", sep=style, precision=4, pad=True)
    degrees = Angle(dec, "deg").to_string(
        "deg", sep="dms" if style == "hms" else style, precision=3, pad=True, alwayssign=True
    )
    found_ra, found_dec = parse_position(f"{hours}{separator}{degrees}")
    assert math.isclose(found_ra, Angle(hours, "hourangle").deg % 360.0, abs_tol=1e-9)
    assert math.isclose(found_dec, Angle(degrees, "deg").deg, abs_tol=1e-9)


@given(st.text(max_size=40))
def test_any_text_is_a_position_or_told_how_to_write_one(text) -> None:
    try:
        ra, dec = parse_position(text)
    except QueryError:
        return
    else:
        assert 0.0 <= ra < 360.0
        assert -90.0 <= dec <= 90.0


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("150.1 2.2", (150.1, 2.2)),
        ("  150.1,-2.2 ", (150.1, -2.2)),
        ("-10 +5", (350.0, 5.0)),
        ("-1e-30 0", (0.0, 0.0)),
        ("360 0", (0.0, 0.0)),
        ("10:00:28.8-02:12:00", (150.12, -2.2)),
        ("10h00m28.8s −2d12m00s", (150.12, -2.2)),  # noqa: RUF001 - a minus sign as it is typeset
        ("150d07m12s +2d12m00s", (150.12, 2.2)),
        ("00:00:00 -00:30:00", (0.0, -0.5)),
        ("1.5e2deg, -2.2d", (150.0, -2.2)),
        ("10 00 28.8 -2 12 00", (150.12, -2.2)),
        ("10 h 00 m 28.8 s , +2 d 12 m 00 s", (150.12, 2.2)),
        ("+10:00:28.8,2:12:0''", (150.12, 2.2)),
    ],
)
def test_ways_of_writing(text: str, position: tuple[float, float]) -> None:
    assert parse_position(text) == pytest.approx(position, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "150.116 2.206"),
        ("a star", "neither an id nor a position"),
        ("150", "neither an id nor a position"),
        ("150-2", "neither an id nor a position"),
        ("150 2 m", "neither an id nor a position"),
        ("-10:00:00 2:00:00", "neither an id nor a position"),
        ("10:-1:00 2:00:00", "neither an id nor a position"),
        ("10:00:1e1 2:00:00", "neither an id nor a position"),
        ("10.5:00:00 2:00:00", "neither an id nor a position"),
        ("\u0661\u0662 2", "neither an id nor a position"),
        ("1" * 5000, "neither an id nor a position"),
        ("1:" * 2500, "neither an id nor a position"),
        ("150 95", "not on the sky"),
        ("400 5", "not on the sky"),
        ("10:61:00 +2:00:00", "below 60"),
        ("10:00:60 +2:00:00", "below 60"),
        ("25:00:00 +2:00:00", "not on the sky"),
    ],
)
def test_what_is_wrong_is_told(text, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        parse_position(text)


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
