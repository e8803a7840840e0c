"""What people see of a dead letter; a stranger's text steers no terminal."""

import pytest

from stream_assoc.apps.cli.dead_letters import NAME_WIDTH, dead_letter_table, described, printable, utc
from stream_assoc.messaging.avro.batch_encoder import BatchEncoder
from tests.pipeline.skies import batch
from tests.tools.dead_letters.builders import letter


def entry(one):
    return one.address, one.letter.record, None


def test_columns_of_the_table_are_aligned() -> None:
    lines = list(dead_letter_table(map(entry, [letter(0, reason="empty"), letter(12, reason="quarantine")])))
    assert lines == [
        "LETTER  TIME                  SENT AGAIN  REASON      ORIGINAL            MESSAGE",
        "1:0     1970-01-01T00:00:00Z  -           empty       dia-sources[3]@100  why",
        "1:12    1970-01-01T00:00:00Z  -           quarantine  dia-sources[3]@112  why",
    ]


def test_a_table_of_no_letters_is_its_headings() -> None:
    assert list(dead_letter_table([])) == ["LETTER  TIME  SENT AGAIN  REASON  ORIGINAL  MESSAGE"]


def test_all_that_is_known_is_described() -> None:
    value = BatchEncoder().encode(batch(7, [150.0], [2.0], detector=94))
    lines = list(described(letter(5, value), None))
    facts = {line[:NAME_WIDTH].strip(): line[NAME_WIDTH + 1 :] for line in lines}
    assert len(facts) == len(lines)
    expected = {
        "letter": "1:5",
        "reason": "unknown_band",
        "original": "dia-sources[3]@105",
        "key": "b'key'",
        "value": f"{len(value)} bytes",
        "header producer": "b'simulator'",
        "batch visit": "7",
        "batch detector": "94",
        "batch diaSources": "1",
    }
    assert {name: facts[name] for name in expected} == expected


@pytest.mark.parametrize("value", [None, b"\x1b[2J"])
def test_what_is_no_batch_is_said_to_be_none(value: bytes | None) -> None:
    assert "cannot be read" in list(described(letter(5, value), None))[-1]


def test_headers_cannot_steer_a_terminal() -> None:
    text = "".join(described(letter(5, headers=(("\x1b]0;title\x07", b"\x1b[2J"),)), None))
    assert text.isprintable()


def test_text_is_escaped_where_it_is_not_printable() -> None:
    assert printable("µ = 1″\n\x1b[2J\x9b") == "µ = 1″\\n\\x1b[2J\\x9b"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (1_700_000_000_123, "2023-11-14T22:13:20Z"),
        (-1, "unset"),
        (2**62, f"{2**62} ms"),
        (-(2**62), f"{-(2**62)} ms"),
    ],
)
def test_times_are_utc_whatever_a_producer_set(milliseconds, text: str) -> None:
    assert utc(milliseconds) == text
