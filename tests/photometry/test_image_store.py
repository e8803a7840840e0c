"""Images come from files, object stores and web servers; what fails is told apart, and never waited for long."""

import http.server
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from stream_assoc.exceptions import FatalError
from stream_assoc.photometry.exceptions import (
    ImageDamagedError,
    ImageMissingError,
    ImageRefusedError,
    ImageRootError,
    ImageTooLargeError,
    ImageUnavailableError,
)
from stream_assoc.photometry.image_store import ImageLimits, ImageStore
from tests.photometry.test_photometer import write
from tests.security.certificates import Authority

QUICK = ImageLimits(max_bytes=200_000, timeout_seconds=20.0, attempts=3, wait_seconds=0.0)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("images") / "image.fits"
    write(file, 1.0)
    return file.read_bytes()


# --- files ---


def test_a_file_is_read(tmp_path: Path, image: bytes) -> None:
    (tmp_path / "image.fits").write_bytes(image)
    assert ImageStore([str(tmp_path)]).read(f"file://{tmp_path}/image.fits").image.shape == (100, 120)


def test_a_large_file_is_not_opened(tmp_path: Path, image: bytes) -> None:
    (tmp_path / "image.fits").write_bytes(image)
    store = ImageStore([str(tmp_path)], ImageLimits(max_bytes=len(image) - 1))
    with pytest.raises(ImageTooLargeError, match=rf"more than {len(image) - 1} bytes.*images\.max_bytes"):
        store.read(f"{tmp_path}/image.fits")
    assert ImageStore([str(tmp_path)], ImageLimits(max_bytes=len(image))).read(f"{tmp_path}/image.fits")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageMissingError, match="No such file"):
        ImageStore([str(tmp_path)]).read(f"{tmp_path}/image.fits")


# --- an S3 server ---


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture(scope="module")
def bucket(s3_url: str, image: bytes):
    import boto3

    client = boto3.client("s3", endpoint_url=s3_url)
    client.create_bucket(Bucket="images")
    client.put_object(Bucket="images", Key="2026/a b.fits", Body=image)
    client.put_object(Bucket="images", Key="2026/plain.fits", Body=image)
    client.put_object(Bucket="images", Key="2026/half.fits", Body=image[: len(image) // 2])
    client.put_object(Bucket="images", Key="2026/large.fits", Body=bytes(200_001))
    return client


@pytest.fixture
def s3_store(bucket, s3_url: str) -> ImageStore:
    return ImageStore(["s3://images/2026"], QUICK, s3_endpoint_url=s3_url)


def test_an_object_store_is_read(s3_store: ImageStore, tmp_path: Path, image: bytes) -> None:
    (tmp_path / "image.fits").write_bytes(image)
    from_file = ImageStore([str(tmp_path)]).read(f"{tmp_path}/image.fits")
    exposure = s3_store.read("s3://images/2026/plain.fits")
    assert np.array_equal(exposure.image, from_file.image)
    assert np.array_equal(exposure.variance, from_file.variance)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("none.fits", ImageMissingError),
        ("half.fits", ImageDamagedError),
        ("large.fits", ImageTooLargeError),
    ],
)
def test_what_is_wrong_in_an_object_store_is_told(s3_store: ImageStore, key: str, error) -> None:
    with pytest.raises(error, match=f"s3://images/2026/{key}"):
        s3_store.read(f"s3://images/2026/{key}")


def test_an_object_store_that_is_away_is_asked_a_few_times(free_port: int) -> None:
    waits: list[float] = []
    limits = ImageLimits(timeout_seconds=60.0, attempts=3, wait_seconds=0.25)
    store = ImageStore(["s3://images"], limits, s3_endpoint_url=f"http://127.0.0.1:{free_port}", wait=waits.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        with pytest.raises(ImageUnavailableError, match="in 3 of 3 attempts"):
            store.read("s3://images/a.fits")
    assert waits == [0.25, 0.5]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


# --- a web server with TLS ---


@dataclass
class Site:
    """A web server on this machine; ``answers`` may be changed while it runs."""

    port: int
    authority: Authority
    answers: dict[str, list[Callable[[http.server.BaseHTTPRequestHandler], None]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def store(self, limits: ImageLimits = QUICK) -> ImageStore:
        return ImageStore([f"https://localhost:{self.port}/images"], limits, ssl_ca_file=self.authority.file)

    def url(self, name: str) -> str:
        return f"https://localhost:{self.port}/images/{name}"


def body(payload: bytes, status: int = 200, **headers: str):
    def answer(request) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(payload)))
        request.end_headers()
        request.wfile.write(payload)

    return answer


def endless(request) -> None:
    """Answer with more than was announced could hold: without a length, until the client hangs up."""
    request.send_response(200)
    request.end_headers()
    try:
        while True:
            request.wfile.write(bytes(65536))
    except OSError:
        return


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    authority = Authority.in_folder(tmp_path / "authority")
    certificate = authority.issue("localhost")
    released = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            answers = made.answers[self.path.removeprefix("/images/")]
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)

        def log_message(self, *_) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Site(server.server_port, authority)

    def silent(request: http.server.BaseHTTPRequestHandler) -> None:
        released.wait(60.0)

    made.answers["silent"] = [silent]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_web_server_is_read(site: Site, image: bytes) -> None:
    site.answers["a%20b.fits"] = [body(image)]
    assert site.store().read(site.url("a%20b.fits")).image.shape == (100, 120)
    assert site.asked == ["/images/a%20b.fits"], "once, and nothing besides"


def test_a_server_of_unknown_authority_is_not_believed(site: Site, image: bytes) -> None:
    site.answers["a"] = [body(image)]
    store = ImageStore([f"https://localhost:{site.port}/images"], QUICK)
    with pytest.raises(ImageUnavailableError, match=r"(?i)certificate"):
        store.read(site.url("a"))
    assert site.asked == []


def test_a_redirect_is_not_followed(site: Site, image: bytes) -> None:
    site.answers["a"] = [body(b"", 302, Location=site.url("b"))]
    site.answers["b"] = [body(image)]
    with pytest.raises(ImageRefusedError, match=r"HTTP 302.*redirects are not followed"):
        site.store().read(site.url("a"))
    assert site.asked == ["/images/a"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_is_not_there_is_not_asked_for_again(site: Site, status: int) -> None:
    site.answers["a"] = [body(b"no", status)]
    with pytest.raises(ImageMissingError, match="is not there or may not be read"):
        site.store().read(site.url("a"))
    assert len(site.asked) == 1


def test_a_server_in_trouble_is_asked_again(site: Site, image: bytes) -> None:
    site.answers["a"] = [body(b"", 503), body(b"", 503), body(image)]
    assert site.store().read(site.url("a")).image.shape == (100, 120)
    assert len(site.asked) == 3


def test_a_server_that_stays_in_trouble_is_given_up(site: Site) -> None:
    site.answers["a"] = [body(b"", 503)]
    with pytest.raises(ImageUnavailableError, match=r"in 3 of 3 attempts.*503"):
        site.store().read(site.url("a"))
    assert len(site.asked) == 3


def test_more_bytes_than_allowed_are_not_read(site: Site) -> None:
    site.answers["a"] = [endless]
    with pytest.raises(ImageTooLargeError, match="more than 200000 bytes"):
        site.store().read(site.url("a"))


def test_a_silent_server_is_not_waited_for(site: Site) -> None:
    limits = ImageLimits(timeout_seconds=0.2, attempts=5)
    with pytest.raises(ImageUnavailableError, match=r"within 0\.2 s in 1 of 5 attempts.*images\.timeout_seconds"):
        site.store(limits).read(site.url("silent"))


def test_a_truncated_answer_is_damaged_or_asked_for_again(site: Site, image: bytes) -> None:
    def cut_off(request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(image)))
        request.end_headers()
        request.wfile.write(image[:1000])

    site.answers["a"] = [cut_off, body(image)]
    assert site.store().read(site.url("a")).image.shape == (100, 120)
    site.answers["b"] = [body(image[:1000])]
    with pytest.raises(ImageDamagedError, match=site.url("b")):
        site.store().read(site.url("b"))


# --- what is configured ---


def test_authorities_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for root in ("https://localhost/images", "s3://images"):
        with pytest.raises(ImageRootError, match=r"images\.ssl_ca_file.*ca\.pem holds no certificates"):
            ImageStore([root], ssl_ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize(("root", "package"), [("https://localhost/images", "aiohttp"), ("s3://images", "s3fs")])
def test_what_is_not_installed_is_told_at_once(monkeypatch: pytest.MonkeyPatch, root: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImageRootError, match=rf"needs the package {package}; pip install 'stream_assoc\[images\]'"
    ) as found:
        ImageStore([root])
    assert isinstance(found.value, FatalError)
