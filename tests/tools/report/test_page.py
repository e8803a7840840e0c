"""The page tells what there is, needs nothing else, and takes no stranger's word for HTML."""

from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from stream_assoc.core.model.batch import BatchId
from stream_assoc.core.model.times import parse_night
from stream_assoc.messaging.avro.batch_header import BatchPrefix
from stream_assoc.messaging.avro.dead_letters import DeadLetterRecord
from stream_assoc.tools.report.night import Night, NightDeadLetter
from stream_assoc.tools.report.page import page
from stream_assoc.tools.report.separations import separations
from stream_assoc.tools.report.summary import attention, counts_of, stage_times, worst
from stream_assoc.tools.report.theme import VARIABLES
from tests.outputs import metrics_of

NIGHT = parse_night("2026-01-01")
EVIL = "<script>alert(1)</script>&\"'"


def batch(visit, **changes):
    fields = {
        "midpointMjdTai": 61_042.1 + visit / 2000,
        "numDiaSources": 20,
        "numAssociatedDiaSources": 10,
        "numNewDiaObjects": 5,
        "numAssociatedSsObjects": 2,
        "numMarginalDiaSources": 3,
        "fracUpdatedDiaObjects": 0.5,
        "medianRaOffset": 0.003,
        "medianDecOffset": -0.004,
        "rmsSeparation": 0.06,
        "stageSeconds": {"decode": 0.002, "associate": 0.010},
    }
    return metrics_of(visit, **(fields | changes))


def letter(message="bad", batch=None):
    return NightDeadLetter(DeadLetterRecord("undecodable", message, "", "dia-sources", 2, 17, 0, 0), batch)


def stored(n_objects=200):
    rng = np.random.default_rng(1)
    ids = 2**60 + np.arange(n_objects)
    ra, dec = 150.0 + rng.normal(size=n_objects) / 10, 2.0 + rng.normal(size=n_objects) / 10
    error = 0.05 / 3600.0
    offset = error * rng.normal(size=(2, n_objects)) / np.sqrt(2.0)
    sources = pa.table(
        {
            "diaSourceId": np.concatenate([ids, ids + 10_000]),
            "visit": [1] * n_objects + [2] * n_objects,
            "detector": [0] * 2 * n_objects,
            "band": ["g"] * 2 * n_objects,
            "midpointMjdTai": [61_042.1] * 2 * n_objects,
            "ra": np.concatenate([ra + offset[0], ra - offset[0]]),
            "raErr": pa.array([error] * 2 * n_objects, pa.float32()),
            "dec": np.concatenate([dec + offset[1], dec - offset[1]]),
            "decErr": pa.array([error] * 2 * n_objects, pa.float32()),
            "snr": pa.array([None] + [10.0] * (2 * n_objects - 1), pa.float32()),
            "diaObjectId": np.concatenate([ids, ids]),
            "ssObjectId": pa.array([None] * 2 * n_objects, pa.int64()),
        }
    )
    return sources, pa.table({"diaObjectId": ids, "ra": ra, "dec": dec, "nDiaSources": [2] * n_objects})


@pytest.fixture(scope="module")
def full():
    letters = [letter(EVIL), letter(batch=BatchPrefix(BatchId(7, 3), 61_042.1))]
    metrics = [batch(visit, band="g" if visit < 20 else "r", numAmbiguousDiaSources=visit % 3) for visit in range(40)]
    sources, objects = stored()
    return Night(NIGHT, metrics, letters, sources, objects, ["a capture"])


@pytest.fixture(scope="module")
def text(full):
    return page(full)


class Outline(HTMLParser):
    """The tags, the texts of headings, and whatever a page refers to."""

    def __init__(self, text) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str | None] = []
        self.headings: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.references += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]

    def handle_endtag(self, tag) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data) -> None:
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)


def test_everything_is_on_one_page(text) -> None:
    outline = Outline(text)
    assert outline.headings[0] == "Night 2026-01-01"
    for heading in (
        *("What deserves a look", "Sources of each visit", "Where", "Where the time goes", "Time of each batch"),
        *("Separations in units of their errors", "Astrometric offset", "Ambiguous associations"),
        *("Known objects seen again", "Worst offenders", "Dead letters"),
    ):
        assert heading in outline.headings
    assert outline.tags.count("svg") == 10
    assert "Rayleigh" in text
    # Ids are whole: the farthest sources are named.
    assert str(2**60)[:14] in text


def test_it_needs_nothing_from_anywhere(text) -> None:
    outline = Outline(text)
    assert all(one is not None and one.startswith(("#", "data:image/png;base64,")) for one in outline.references)
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)


def test_strangers_write_no_html(text) -> None:
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_equal_nights_give_equal_bytes(full, text) -> None:
    assert page(full) == text


def test_colours_are_those_of_the_page(text) -> None:
    assert "var(--associated)" in text
    assert not any(colour in text for colour in VARIABLES)


def test_tables_and_figures_are_reached_by_keyboard(text) -> None:
    n_scrolling = text.count('class="scroll"') + text.count('class="drawing"')
    assert text.count('tabindex="0"') == n_scrolling > 10


def test_letters_of_other_nights_are_told() -> None:
    others = {parse_night("2025-12-30"): 1200, None: 2}
    text = page(Night(NIGHT, [batch(1)], [], other_dead_letters=others))
    assert "Of other nights: 20251230 (1,200), no night (2)." in text
    assert "There are none for this night." in text


@pytest.mark.parametrize(
    "night",
    [
        Night(NIGHT, [batch(1)]),
        Night(NIGHT, [metrics_of(1, midpointMjdTai=61_042.1)]),
        Night(NIGHT, [], [letter()]),
        Night(NIGHT, [], [], *stored(3)),
        Night(NIGHT, [batch(1)], [], stored(3)[0].slice(0, 0), stored(3)[1].slice(0, 0)),
        Night(NIGHT, [batch(1)], [], stored(3)[0], stored(3)[1].slice(0, 0)),
        Night(NIGHT, [batch(visit, detector=detector) for visit in range(40) for detector in range(40)]),
    ],
    ids=["one batch", "a bare batch", "only letters", "only sources", "no sources", "no objects", "many"],
)
def test_whatever_is_missing_the_rest_is_told(night) -> None:
    text = page(night)
    assert Outline(text).headings[0] == "Night 2026-01-01"
    assert "nan" not in text.replace("nano", "")


def test_letters_that_were_not_read_are_not_said_to_be_none() -> None:
    text = page(Night(NIGHT, [batch(1)], None))
    assert "They were not read" in text
    assert "There are none" not in text.split("Dead letters</h2>")[1]


def test_a_large_night_stays_small() -> None:
    many = [batch(visit, detector=detector) for visit in range(100) for detector in range(60)]
    assert len(page(Night(NIGHT, many))) < 1_500_000


def test_sources_over_the_whole_sky_are_drawn() -> None:
    sources, objects = stored(200)
    ra = np.linspace(0.0, 359.0, 400)
    everywhere = sources.set_column(5, "ra", pa.array(ra)).set_column(
        7, "dec", pa.array(np.linspace(-80.0, 80.0, 400))
    )
    assert "Whole sky" in page(Night(NIGHT, [], [], everywhere, objects))


def test_counts_add_up(full) -> None:
    counts = counts_of(full)
    assert (counts.n_visits, counts.n_batches, counts.n_sources, counts.n_dead_letters) == (40, 40, 800, 2)
    assert counts.n_associated + counts.n_new + counts.n_solar_system + counts.n_marginal == counts.n_sources


def test_forced_sources_are_counted_where_there_are_any() -> None:
    assert "forced sources" in page(Night(NIGHT, [batch(1, numForcedSources=7)]))
    assert "forced sources" not in page(Night(NIGHT, [batch(1)]))


def told(*metrics, letters=(), apart=None):
    return " ".join(attention(Night(NIGHT, metrics, letters), apart))


def test_a_quiet_night_has_nothing_to_look_at() -> None:
    assert told(batch(1), batch(2), apart=separations(*stored())) == ""
    assert "Nothing stands out" in page(Night(NIGHT, [batch(1)]))


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ([batch(1, numDiaSources=21)], "add up to 20, not to 21"),
        ([batch(1, numDiaSources=22, numDroppedDiaSources=2)], "2 sources had no usable position"),
        ([batch(1, medianRaOffset=0.2)], "1 batches lie more than 100 mas"),
        (
            [batch(1, forcedPhotometryError="missing")],
            "1 batches have images on which nothing was measured: 1 missing",
        ),
        ([batch(1, revision=1)], "1 batches replaced an earlier"),
        (
            [*map(batch, range(98)), batch(98, stageSeconds={"load": 3.0}), batch(99, stageSeconds={"load": 3.0})],
            "p99",
        ),
    ],
)
def test_what_stands_out_is_told(metrics, sentence: str) -> None:
    assert sentence in told(*metrics)


def test_letters_and_wrong_errors_are_told() -> None:
    sources, objects = stored()
    assert "2 messages could not be processed: 2 undecodable" in told(batch(1), letters=[letter(), letter()])
    small = sources.set_column(6, "raErr", pa.array(np.full(400, 1e-6), pa.float32()))
    assert "errors are too small" in told(batch(1), apart=separations(small, objects))
    assert "lie more than 6 expected errors" in told(batch(1), apart=separations(small, objects))


def test_stages_keep_their_order_and_the_worst_come_first() -> None:
    metrics = [batch(visit, stageSeconds={"decode": visit / 100, "load": 1.0}) for visit in range(101)]
    decode, load = stage_times(metrics)
    assert (decode.name, decode.median, decode.p99) == ("decode", 0.5, 0.99)
    assert (load.name, load.median) == ("load", 1.0)
    assert [one.visit for one in worst(metrics, lambda one: one.stageSeconds["decode"], 2)] == [100, 99]
    assert worst(metrics, lambda one: 0.0) == []
