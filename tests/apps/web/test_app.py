"""Every address: what it answers, that ids are text, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from stream_assoc.apps.web.app import STATIC, make_app
from stream_assoc.apps.web.feed import Feed
from stream_assoc.apps.web.library import Library
from stream_assoc.pipeline.exceptions import ApdbUnavailableError
from tests.configured import configured
from tests.pipeline.skies import night
from tests.stores.apdb.reading.nights import StoredNight

BIGGEST = 2**53


def client_of(url, **dashboard):
    settings = configured(apdb={"url": url}, dashboard=dashboard)
    library = Library(settings)
    return library, TestClient(make_app(settings, Feed(10), library), base_url="http://localhost:8765")


@pytest.fixture(
    params=["sqlite", *(pytest.param(kind, marks=pytest.mark.integration) for kind in ("postgresql", "cassandra"))]
)
def stored(request: pytest.FixtureRequest):
    return request.getfixturevalue(f"{request.param}_night")


@pytest.fixture
def client(stored):
    library, client = client_of(stored.url)
    yield client
    library.close()


@pytest.fixture
def get(client):
    def get(path, status=200):
        response = client.get(f"/api/{path}")
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/json"
        return response.json()

    return get


def assert_ids_are_text(value, name="") -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert_ids_are_text(item, key)
    elif isinstance(value, list):
        for item in value:
            assert_ids_are_text(item, name)
    elif isinstance(value, bool) or value is None:
        pass
    elif name.endswith("Id") or name in {"visit", "offset", "inputOffset"}:
        assert isinstance(value, str), (name, value)
    else:
        assert not isinstance(value, int) or abs(value) < BIGGEST, (name, value)


def test_every_answer_keeps_ids_as_text(get, stored) -> None:
    listed = get("objects")
    chosen = str(stored.forced_object)
    curve = get(f"objects/{chosen}/light_curve")
    source, place = curve["sources"][-1], listed["objects"][0]
    visit = night()[0].id
    for path in (
        "objects",
        f"objects/{chosen}",
        f"objects/{chosen}/light_curve",
        f"objects/{chosen}/versions",
        f"objects/{chosen}/statistics",
        f"sources/{source['diaSourceId']}",
        f"visits/{visit.visit}/{visit.detector}",
        "sky",
        f"sky/objects?ra={place['ra']}&dec={place['dec']}&radius=1",
        f"search?q={chosen}",
        f"search?q={source['diaSourceId']}",
        f"search?q={place['ra']}%20{place['dec']}",
    ):
        answer = get(path)
        assert answer, path
        assert_ids_are_text(answer)


def test_an_object_is_found_by_id_and_by_place(get, stored) -> None:
    chosen = str(stored.forced_object)
    assert get(f"search?q={chosen}") == {"kind": "object", "diaObjectId": chosen}
    latest = get(f"objects/{chosen}")["latest"]
    found = get("search?q=" + quote(f"{latest['ra']!r} {latest['dec']!r}"))
    assert found["kind"] == "position"
    assert found["objects"][0]["diaObjectId"] == chosen
    assert found["objects"][0]["separation_arcsec"] < 1e-3
    assert found["radius_arcsec"] == 5.0


def test_a_source_is_found_by_its_id(get, stored) -> None:
    curve = get(f"objects/{stored.forced_object}/light_curve")
    # The source that created an object has its id, which then is the object's.
    source = next(one["diaSourceId"] for one in curve["sources"] if one["diaSourceId"] != str(stored.forced_object))
    assert get(f"search?q={source}") == {"kind": "source", "diaSourceId": source}


def test_a_visit_is_found_by_its_id_and_its_detectors(get: Callable[..., Any]) -> None:
    visit, detector = night()[0].id
    for text in (f"{visit}", f"visit {visit}", f"Visit%20{visit}"):
        assert get(f"search?q={text}") == {"kind": "visit", "visit": str(visit)}
    for text in (f"visit {visit} detector {detector}", f"visit {visit}, {detector}", f"visit {visit}/{detector}"):
        assert get(f"search?q={text}") == {"kind": "batch", "visit": str(visit), "detector": detector}
    page = get(f"visits/{visit}")
    assert (page["visit"], page["band"]) == (str(visit), night()[0].band)
    mine = {one["detector"]: one for one in page["detectors"]}
    assert sorted(mine) == sorted(batch.id.detector for batch in night() if batch.id.visit == visit)
    stored = get(f"visits/{visit}/{detector}")["processings"][-1]
    assert (mine[detector]["n_sources"], mine[detector]["revision"]) == (stored["n_sources"], stored["revision"])
    assert "has not been processed" in get("search?q=visit 17 detector 3", 404)["error"]


def test_nothing_near_is_no_failure(get) -> None:
    found = get("search?q=10%20-80")
    assert (found["objects"], found["isComplete"], found["radius_arcsec"]) == ([], True, 3600.0)


def test_a_light_curve_has_its_forced_photometry(get, stored) -> None:
    curve = get(f"objects/{stored.forced_object}/light_curve")
    (forced,) = curve["forced"]
    assert (forced["band"], forced["psfFlux"], forced["psfFluxErr"]) == ("g", 1.5, 2.5)
    assert len(curve["sources"]) == get(f"objects/{stored.forced_object}")["latest"]["nDiaSources"]
    assert curve["isComplete"]


def test_recomputed_statistics_are_those_of_the_apdb_and_more(get, stored) -> None:
    latest = get(f"objects/{stored.forced_object}")["latest"]
    computed = get(f"objects/{stored.forced_object}/statistics")["statistics"]
    bands = [band for band in "ugrizy" if latest[f"{band}_psfFluxNdata"]]
    assert bands
    for band in bands:
        for name in ("psfFluxMean", "psfFluxMeanErr", "psfFluxMin", "psfFluxMax", "scienceFluxMean"):
            assert computed[f"{band}_{name}"] == pytest.approx(latest[f"{band}_{name}"], rel=1e-6)
        assert computed[f"{band}_psfFluxPercentile50"] is not None


def test_statistics_of_more_sources_than_are_read_are_not_those_of_a_part(
    get: Callable[..., Any], stored: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_sources = get(f"objects/{stored.forced_object}")["latest"]["nDiaSources"]
    monkeypatch.setattr("stream_assoc.apps.web.objects._POINTS", n_sources)
    assert get(f"objects/{stored.forced_object}/statistics")["isComplete"]
    monkeypatch.setattr("stream_assoc.apps.web.objects._POINTS", n_sources - 1)
    answer = get(f"objects/{stored.forced_object}/statistics")
    assert answer == {"nDiaSources": None, "statistics": {}, "isComplete": False}
    assert not get(f"objects/{stored.forced_object}/light_curve")["isComplete"]


def test_the_explanation_agrees(get, stored) -> None:
    source = get(f"objects/{stored.forced_object}/light_curve")["sources"][-1]
    explanation = get(f"sources/{source['diaSourceId']}")
    assert explanation["agrees"] is True
    assert explanation["source"]["diaObjectId"] == str(stored.forced_object)


def test_the_sky_has_outlines_round_the_sources(get) -> None:
    sky = get("sky")
    # The batch that only brought forced photometry has no outline.
    assert len(sky["visits"]) == len(night())
    assert all(len(one["outline"]) >= 3 for one in sky["visits"])
    assert {one["band"] for one in sky["visits"]} == {batch.band for batch in night()}
    assert all(len(one["outline"]) == 3 and one["changes"] > 0 for one in sky["coverage"])


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("objects/12", 404, "no object 12"),
        ("objects/twelve", 400, "not an integer"),
        (f"objects/{2**63}", 400, "64 bits"),
        (f"search?q={2**70}", 400, "64 bits"),
        (f"search?q={'9' * 5000}", 400, "64 bits"),
        (f"search?q=-{'9' * 5000}", 400, "64 bits"),
        (f"search?q={'1:' * 2500}", 400, "neither an id nor a position"),
        (f"objects/{'9' * 5000}", 400, "64 bits"),
        (f"objects/{2**63}/light_curve", 400, "64 bits"),
        (f"objects/{2**63}/versions", 400, "64 bits"),
        (f"objects/{2**63}/statistics", 400, "64 bits"),
        (f"sources/{2**63}", 400, "64 bits"),
        ("objects/\u0661\u0662", 400, "not an integer"),
        ("visits/9999999999999999999/1", 400, "64 bits"),
        ("visits/1/9999999999999999999", 400, "64 bits"),
        (f"visits/{2**63 - 1}/{-(2**63) + 1}", 404, "not been processed"),
        (f"sky/objects?ra={'1' * 5000}&dec=2&radius=1", 400, "on the sky"),
        ("sources/12", 404, "no source 12"),
        ("visits/1/1", 404, "not been processed"),
        ("visits/1", 404, "not been processed"),
        (f"visits/{2**63}", 400, "64 bits"),
        (f"search?q=visit {2**63}", 400, "64 bits"),
        ("search?q=here", 400, "neither an id nor a position"),
        ("search", 400, "neither an id nor a position"),
        ("search?q=12", 404, "neither an object nor a source"),
        ("sky/objects?ra=1&dec=2", 400, "radius"),
        ("sky/objects?ra=1&dec=nan&radius=1", 400, "on the sky"),
        ("sky/objects?ra=1&dec=2&radius=90", 400, "at most 20"),
        ("nothing", 404, "nothing at"),
    ],
)
def test_what_cannot_be_answered_says_why(sqlite_night, path: str, status: int, words: str) -> None:
    library, client = client_of(sqlite_night.url)
    response = client.get(f"/api/{path}")
    library.close()
    assert response.status_code == status
    assert words in response.json()["error"]


def test_an_empty_database_has_empty_answers(empty_url) -> None:
    library, client = client_of(empty_url)
    assert client.get("/api/objects").json() == {"objects": []}
    assert client.get("/api/sky").json() == {"coverage": [], "visits": []}
    assert client.get("/api/search?q=1 2").json()["objects"] == []
    library.close()


def test_a_database_that_is_away_is_told_and_asked_again(
    sqlite_night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = client_of(f"sqlite:///{tmp_path / 'later.db'}")
    response = client.get("/api/objects")
    assert response.status_code == 503
    assert "apdb init" in response.json()["error"]
    (tmp_path / "later.db").write_bytes(open(sqlite_night.url.removeprefix("sqlite:///"), "rb").read())  # noqa: SIM115
    monkeypatch.setattr("stream_assoc.apps.web.library._FAILURE_SECONDS", 0.0)
    assert client.get("/api/objects").status_code == 200
    library.close()


def test_those_who_wait_for_the_same_database_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(settings) -> Never:
        tried.append(settings)
        raise ApdbUnavailableError("nobody answers")

    monkeypatch.setattr("stream_assoc.apps.web.library.reader_of", fail)
    monkeypatch.setattr("stream_assoc.apps.web.library._FAILURE_SECONDS", 3600.0)
    _, client = client_of(f"sqlite:///{tmp_path / 'none.db'}")
    assert [client.get("/api/sky").json()["error"] for _ in range(3)] == ["nobody answers"] * 3
    assert len(tried) == 1


def test_nothing_can_be_changed(client) -> None:
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)("/api/objects").status_code == 405


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8765", "[::1]:8765", "sky.example.org"])
def test_hosts_that_are_known(sqlite_night, host: str) -> None:
    _, client = client_of(sqlite_night.url, allowed_hosts=("sky.example.org",))
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8765", "", "[::2]"]
)
@pytest.mark.parametrize("path", ["/", "/api/objects", "/static/style.css"])
def test_a_name_that_was_made_to_lead_here_is_refused(sqlite_night, host: str, path: str) -> None:
    _, client = client_of(sqlite_night.url)
    response = client.get(path, headers={"Host": host})
    assert response.status_code == 421
    assert "dashboard.allowed_hosts" in response.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8765"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/api/objects", "/static/style.css"])
def test_other_sites_may_not_ask(client: TestClient, headers: dict[str, str], status: int, path: str) -> None:
    assert client.get(path, headers=headers).status_code == status


def test_other_sites_may_link_to_the_page(client: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/js/main.js", "/api/objects", "/nothing"])
def test_the_browser_is_bound(client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_no_setting_is_shown(sqlite_night) -> None:
    settings = configured(
        apdb={"url": sqlite_night.url},
        kafka={
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "me",
            "sasl_password": "hush",
        },
        redis={"url": "redis://me:hush@localhost:6379/0"},
    )
    feed = Feed(10)
    library = Library(settings)
    client = TestClient(make_app(settings, feed, library), base_url="http://localhost")
    texts = [client.get(path).text for path in ("/", "/api/objects", "/api/sky", "/api/objects/1")]
    library.close()
    assert not any("hush" in text for text in [*texts, feed.hello()[0]])


def test_no_page_holds_inline_scripts_or_markup_from_data() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "style=" not in page
    assert page.count("<script") == 1
    for script in STATIC.glob("js/**/*.js"):
        text = script.read_text(encoding="utf-8")
        for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert dangerous not in text, script


def test_an_answer_with_quotes_and_tags_stays_data(client) -> None:
    response = client.get("/api/search", params={"q": "<script>alert('x')</script>"})
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.text)["error"].startswith('"<script>') or "<script>" in response.json()["error"]
