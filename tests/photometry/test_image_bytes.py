"""A few bytes that claim to be many cost no more than many are allowed to; what is no file is never waited for."""

import bz2
import gzip
import io
import lzma
import os
import socket
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stream_assoc.photometry import fits_bounds
from stream_assoc.photometry.exceptions import (
    ImageDamagedError,
    ImageMissingError,
    ImageRefusedError,
    ImageTooLargeError,
    ImageUnavailableError,
    ImageUnreadableError,
)
from stream_assoc.photometry.fits import read_payload
from stream_assoc.photometry.image_bytes import MAX_STUCK, Allowance, FileThreads, decompressed
from stream_assoc.photometry.image_store import ImageLimits, ImageStore
from stream_assoc.pipeline.exceptions import ImageError
from tests.photometry.test_fits import compressed, layout, payload

SMALL = Allowance(max_bytes=2**20)


def zipped(content: bytes, *names: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names or ("image.fits",):
            file.writestr(name, content)
    return archive.getvalue()


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "two streams of gzip": lambda content: gzip.compress(content[:5000]) + gzip.compress(content[5000:]),
    "two streams of bzip2": lambda content: bz2.compress(content[:5000]) + bz2.compress(content[5000:]),
}


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_compressed_files_are_read(compress: Callable[[bytes], bytes]) -> None:
    whole = payload(layout())
    assert decompressed(compress(whole), "image", SMALL) == whole
    assert read_payload(compress(whole)).image.shape == (60, 80)


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_what_a_few_bytes_decompress_to_is_counted_while_it_comes(compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(50 * 2**20))
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError, match="more than 1048576 bytes"):
            read_payload(bomb, "image", SMALL)
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_what_is_cut_off_or_spoilt_is_damaged(compress: Callable[[bytes], bytes]) -> None:
    whole = compress(payload(layout()))
    spoilt = bytearray(whole)
    spoilt[len(whole) // 2 : len(whole) // 2 + 20] = b"\xff" * 20
    for content in (whole[: len(whole) // 3], bytes(spoilt)):
        with pytest.raises(ImageDamagedError):
            read_payload(content)


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(gzip.compress(b"once is enough")),
        zipped(b"a", "one.fits", "two.fits"),
        zipped(gzip.compress(b"a")),
        b"\x1f\x9d\x90" + b"compress" * 100,
        b"\x1f\x8b",
        b"PK\x03\x04",
    ],
    # Not the bytes: those of gzip and zip hold the time of their making.
    ids=["gzip in gzip", "two in a zip", "gzip in a zip", "compress", "two bytes of gzip", "four bytes of zip"],
)
def test_what_is_no_single_file_is_damaged(content: bytes) -> None:
    with pytest.raises(ImageDamagedError):
        read_payload(content)


def test_decompressing_is_bounded_in_time() -> None:
    late = Allowance(seconds=1.0, deadline=time.monotonic() - 1.0)
    with pytest.raises(ImageUnavailableError, match=r"within 1 s.*images\.timeout_seconds"):
        decompressed(gzip.compress(bytes(10)), "image", late)


# --- what a FITS file claims ---


def with_tiles(**options: object) -> fits.HDUList:
    hdus = layout()
    hdus["IMAGE"] = fits.CompImageHDU(hdus["IMAGE"].data, hdus["IMAGE"].header, name="IMAGE", **options)
    return hdus


@pytest.mark.parametrize("kind", ["GZIP_1", "GZIP_2", "RICE_1"])
def test_tiles_of_every_kind_are_read(kind: str) -> None:
    options = {"compression_type": kind} | ({"quantize_level": 0.0} if kind != "RICE_1" else {})
    assert read_payload(payload(with_tiles(**options))).image.shape == (60, 80)


def bomb_of_tiles() -> bytes:
    """Return a file one of whose tiles, of 80 pixels, decompresses to 64 MB."""
    hdus = with_tiles(compression_type="GZIP_1", quantize_level=0.0)
    with fits.open(io.BytesIO(payload(hdus)), disable_image_compression=True) as opened:
        table = opened[1]
        tiles = [np.asarray(one) for one in table.data["COMPRESSED_DATA"]]
        tiles[3] = np.frombuffer(gzip.compress(bytes(64 * 2**20)), np.uint8)
        column = fits.Column("COMPRESSED_DATA", "QB()", array=np.array(tiles, dtype=object))
        made = fits.BinTableHDU.from_columns([column], table.header)
        opened[1] = made
        bomb: bytes = payload(fits.HDUList([one.copy() if one is not made else made for one in opened]))
    return bomb


def test_a_tile_has_no_more_than_its_pixels() -> None:
    bomb = bomb_of_tiles()
    assert len(bomb) < 300_000
    tracemalloc.start()
    try:
        with pytest.raises(ImageUnreadableError, match="a tile decompresses to more than 640 bytes"):
            read_payload(bomb)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_the_pixels_of_all_extensions_count_together() -> None:
    hdus = with_tiles()
    whole = payload(hdus)
    needed = 60 * 80 * 4 * 3 + 31 * 31 * 8
    assert read_payload(whole, "image", Allowance(max_bytes=needed + len(whole))).image.shape == (60, 80)
    with pytest.raises(ImageTooLargeError, match=r"images\.max_bytes"):
        fits_bounds.check_bounds(whole, "image", Allowance(max_bytes=needed - 1))
    fits_bounds.check_bounds(whole, "image", Allowance(max_bytes=needed))


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"ZTILE1": 0}, "not positive"),
        ({"ZTILE1": -80}, "not positive"),
        ({"ZNAXIS1": 10**6, "ZNAXIS2": 10**6}, "at most 134217728 are read"),
        ({"ZNAXIS1": 10**4, "ZNAXIS2": 10**4, "ZTILE1": 1, "ZTILE2": 1}, "tiles; at most 131072"),
    ],
)
def test_tiles_that_cannot_be(cards: dict[str, int], message: str) -> None:
    content = compressed()
    for keyword, value in cards.items():
        begin = content.index(f"{keyword:<8}=".encode())
        content = content[: begin + 10] + f"{value:>20}".encode() + content[begin + 30 :]
    with pytest.raises(ImageError, match=message):
        read_payload(content)


def test_a_header_has_an_end() -> None:
    whole = payload(layout())
    card = b"COMMENT " + b"x" * 72
    end = whole.index(b"END" + b" " * 77)
    long = whole[:end] + card * (fits_bounds.MAX_HEADER_BYTES // 80 + 36) + whole[end:]
    with pytest.raises(ImageUnreadableError, match="headers has more than 1048576 bytes"):
        read_payload(long)


@pytest.mark.parametrize(("columns", "rows"), [(10**12, 1), (-2, -3), (0, 0), (7, 1)])
def test_the_grid_of_a_psf_is_not_believed(columns: int, rows: int) -> None:
    hdus = layout()
    hdus["PSF"].data = np.stack([hdus["PSF"].data] * 6)
    grid = {"GRIDNX": columns, "GRIDX0": 0.0, "GRIDDX": 1.0, "GRIDNY": rows, "GRIDY0": 0.0, "GRIDDY": 1.0}
    hdus["PSF"].header.update(grid)
    with pytest.raises(ImageUnreadableError, match="PSF holds 6 images"):
        read_payload(payload(hdus))


# --- what is no file ---


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "image.fits")
    with pytest.raises(ImageRefusedError, match="no regular file"):
        ImageStore([str(tmp_path)]).read(f"{tmp_path}/image.fits")


def test_a_socket_is_not_read(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(ImageMissingError):
            ImageStore([str(tmp_path)]).read(f"{tmp_path}/s")


def test_a_device_is_not_read() -> None:
    with pytest.raises(ImageRefusedError, match="no regular file"):
        ImageStore(["/dev"]).read("/dev/zero")


def test_files_that_hang_are_left_alone_and_not_too_many_of_them() -> None:
    threads, release = FileThreads(), threading.Event()
    for _ in range(MAX_STUCK):
        with pytest.raises(ImageUnavailableError, match=r"within 0\.01 s"):
            threads.run(lambda: release.wait(60.0), 0.01, "image")
    with pytest.raises(ImageUnavailableError, match="4 files before it do not answer"):
        threads.run(lambda: None, 60.0, "image")
    release.set()
    for thread in threading.enumerate():
        if thread.name == "image-file":
            thread.join(60.0)
    assert threads.run(lambda: 7, 60.0, "image") == 7


def test_a_store_bounds_what_a_file_decompresses_to(tmp_path: Path) -> None:
    (tmp_path / "image.fits").write_bytes(gzip.compress(bytes(10 * 2**20)))
    store = ImageStore([str(tmp_path)], ImageLimits(max_bytes=2**20))
    with pytest.raises(ImageTooLargeError):
        store.read(f"{tmp_path}/image.fits")
