"""Only what lies below a root may be read, however its name is written."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_assoc.exceptions import FatalError, PoisonError
from stream_assoc.photometry.exceptions import ImageRefusedError, ImageRootError
from stream_assoc.photometry.image_roots import ImageRoots

URL_ROOTS = ImageRoots(["s3://images/2026", "https://data.rubin.org/images", "https://other.org:8443/"])
SEGMENTS = st.lists(st.text("abcdefXYZ0189-_.~+=", min_size=1).filter(lambda name: name.strip(".")), min_size=1)


@pytest.fixture
def root(tmp_path: Path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("s3://images/2026/a/b.fits", "s3://images/2026/a/b.fits"),
        ("S3://images/2026/b.fits", "s3://images/2026/b.fits"),
        ("https://data.rubin.org/images/b.fits", "https://data.rubin.org/images/b.fits"),
        ("HTTPS://Data.Rubin.ORG:443/images/b.fits", "https://data.rubin.org/images/b.fits"),
        ("https://data.rubin.org/images/b%20c.fits", "https://data.rubin.org/images/b%20c.fits"),
        ("https://other.org:8443/b.fits", "https://other.org:8443/b.fits"),
    ],
)
def test_what_is_below_a_root_is_allowed(uri: str, location: str) -> None:
    assert URL_ROOTS.resolve(uri) == location


@pytest.mark.parametrize(
    "uri",
    [
        # Elsewhere.
        "s3://images/2025/b.fits",
        "s3://images2/2026/b.fits",
        "s3://images/2026-evil/b.fits",
        "https://data.rubin.org/other/b.fits",
        "https://data.rubin.org/images-evil/b.fits",
        "https://data.rubin.org/Images/b.fits",
        "https://data.rubin.org.evil.org/images/b.fits",
        "https://evil.org/images/b.fits",
        "https://data.rubin.org:444/images/b.fits",
        "https://other.org/b.fits",
        # Back out again.
        "s3://images/2026/../2025/b.fits",
        "s3://images/2026/./b.fits",
        "https://data.rubin.org/images/../etc",
        "https://data.rubin.org/images/%2e%2e/etc",
        "https://data.rubin.org/images/%2E./etc",
        "https://data.rubin.org/images/..%2fetc",
        "https://data.rubin.org/images/%252e%252e/etc",
        "https://data.rubin.org/images/..%5cetc",
        "https://data.rubin.org/images\\..\\etc",
        "https://data.rubin.org/images//b.fits",
        "https://data.rubin.org/images/%zz",
        # Another server behind what looks like ours.
        "https://data.rubin.org@evil.org/images/b.fits",
        "https://user:password@data.rubin.org/images/b.fits",
        "https://data.rubin.org\\@evil.org/images/b.fits",
        "https://data.rubin.org#@evil.org/images/b.fits",
        "https://data.rubin.org?@evil.org/images/b.fits",
        "https://data.rubin.org./images/b.fits",
        "https://data.rubin.org:port/images/b.fits",
        "https://data.rubin.org:99999/images/b.fits",
        "https://dat\u0430.rubin.org/images/b.fits",
        "https://[::1]/images/b.fits",
        "https://[/images/b.fits",
        "https:///images/b.fits",
        "https:data.rubin.org/images/b.fits",
        "s3://user@images/2026/b.fits",
        "s3://images:80/2026/b.fits",
        # Something else than a file of that name.
        "https://data.rubin.org/images/b.fits?file=/etc/passwd",
        "https://data.rubin.org/images/b.fits#x",
        "https://data.rubin.org/images/b.fits\x00.png",
        "https://data.rubin.org/images/b.fits%00.png",
        "https://data.rubin.org/images/b.fits\r\nHost: evil.org",
        " https://data.rubin.org/images/b.fits",
        "https://data.rubin.org/images/" + "a" * 5000,
        # Another way to get there.
        "http://data.rubin.org/images/b.fits",
        "ftp://data.rubin.org/images/b.fits",
        "gs://images/2026/b.fits",
        "file:///etc/passwd",
        "/etc/passwd",
        "//data.rubin.org/images/b.fits",
        "images/b.fits",
        "data:text/plain,x",
        "jar:https://data.rubin.org/images/b.fits",
        "",
    ],
)
def test_everything_else_is_refused(uri) -> None:
    with pytest.raises(ImageRefusedError) as caught:
        URL_ROOTS.resolve(uri)
    assert len(str(caught.value)) < 300
    assert "password@" not in str(caught.value)


def test_files_are_found_by_path_and_by_uri(root) -> None:
    roots = ImageRoots([str(root)])
    (root / "a b%41é.fits").touch()
    expected = str(root / "a b%41é.fits")
    assert roots.resolve(expected) == expected
    assert roots.resolve(f"file://{quote(str(root))}/a%20b") == str(root / "a b")
    assert roots.resolve(f"{root}/not/there/yet.fits") == f"{root}/not/there/yet.fits"


def test_files_elsewhere_are_refused(root) -> None:
    roots = ImageRoots([str(root)])
    evil = root.parent / "data-evil"
    evil.mkdir()
    for uri in (
        f"{evil}/b.fits",
        f"{root}/../data-evil/b.fits",
        f"file://{root}/../data-evil/b.fits",
        f"file://{root}/%2e%2e/data-evil/b.fits",
        f"file://localhost{root}/b.fits",
        f"file://evil.org{root}/b.fits",
        f"file:{str(root)[1:]}/b.fits",
        f"{root}/b.fits\x00",
        f"{root}/b\n.fits",
        f".{root}/b.fits",
        f"~{root}/b.fits",
        f"/proc/self/root{root.parent}/x",
    ):
        with pytest.raises(ImageRefusedError):
            roots.resolve(uri)


def test_symbolic_links_may_not_lead_out(root) -> None:
    outside = root.parent / "secret.fits"
    outside.touch()
    (root / "inside.fits").touch()
    (root / "out").symlink_to(root.parent)
    (root / "file_out").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (root / "in").symlink_to(root / "inside.fits")
    roots = ImageRoots([str(root)])
    assert roots.resolve(f"{root}/in") == str(root / "inside.fits")
    for name in ("out/secret.fits", "file_out"):
        with pytest.raises(ImageRefusedError):
            roots.resolve(f"{root}/{name}")


def test_a_root_may_be_reached_through_a_link(root) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert ImageRoots([str(link)]).resolve(f"{root}/b.fits") == f"{root}/b.fits"
    assert ImageRoots([str(root)]).resolve(f"{link}/b.fits") == f"{root}/b.fits"


def test_without_roots_no_image_may_be_read(root) -> None:
    for uri in (f"{root}/b.fits", "s3://images/2026/b.fits", "https://data.rubin.org/images/b.fits"):
        with pytest.raises(ImageRefusedError):
            ImageRoots([]).resolve(uri)


def test_a_refusal_condemns_no_batch() -> None:
    assert not issubclass(ImageRefusedError, PoisonError | FatalError)


@pytest.mark.parametrize(
    "root", ["data", "", "http://host/", "https://user@host/", "s3://", "https://host/../x", "a\x00"]
)
def test_a_root_that_is_none_is_refused(root: str) -> None:
    with pytest.raises(ImageRootError, match=r"images\.roots"):
        ImageRoots([root])


@given(SEGMENTS)
def test_whatever_is_plainly_below_is_allowed(segments) -> None:
    path = "/".join(segments)
    for root in ("s3://images/2026", "https://data.rubin.org/images"):
        assert URL_ROOTS.resolve(f"{root}/{path}") == f"{root}/{path}"
    assert ImageRoots(["/nowhere/data"]).resolve(f"/nowhere/data/{path}") == f"/nowhere/data/{path}"


@given(st.text(max_size=60) | st.from_regex(r"(s3|https|file)://(images|data\.rubin\.org|)[/.%2ef\\@:#?a]{0,30}"))
def test_nothing_is_allowed_that_does_not_begin_with_a_root(text) -> None:
    roots = ["s3://images/2026", "https://data.rubin.org/images", "/nowhere/data"]
    for uri in (text, *(root + text for root in roots), *(f"{root}/{text}" for root in roots)):
        try:
            location = ImageRoots(roots).resolve(uri)
        except ImageRefusedError:
            continue
        root = next(root for root in roots if location == root or location.startswith(f"{root}/"))
        assert ".." not in location.removeprefix(root).split("/")
