"""Writes cutouts: one FITS file for each box of an image, all in one buffer.

Nothing is built for a single file. Its length follows from its size, so the
buffer is known beforehand; headers are patched, pixels copied.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from numba import njit

from stream_assoc.core.model.arrays import offsets_of, read_only
from stream_assoc.core.model.types import Float32Array, FloatArray, IntArray
from stream_assoc.photometry.cutouts.boxes import Boxes, Sources
from stream_assoc.photometry.cutouts.headers import BLOCK_BYTES, blocks, image_header, psf_header, variance_header
from stream_assoc.photometry.exposure import Exposure
from stream_assoc.photometry.psf import Psf

_PIXEL_BYTES: Final = 4


def written(exposure: Exposure, boxes: Boxes, sources: Sources) -> pa.LargeBinaryArray:
    """Return the cutouts of an image, null for the sources that it has no box for.

    Parameters
    ----------
    exposure : `~stream_assoc.photometry.exposure.Exposure`
    boxes : `~stream_assoc.photometry.cutouts.boxes.Boxes`
        Of the sources, on this image.
    sources : `~stream_assoc.photometry.cutouts.boxes.Sources`, length n

    Returns
    -------
    files : `pyarrow.LargeBinaryArray`, shape (n,)
        Pixels beyond the edge are NaN, and their variance is infinite.
    """
    psf_bytes = BLOCK_BYTES + blocks(8 * exposure.psf.images[0].size)
    plane_bytes = {size: blocks(_PIXEL_BYTES * size**2) for size in set(boxes.size.tolist())}
    lengths = np.zeros(len(sources), np.int64)
    lengths[boxes.source] = [2 * (BLOCK_BYTES + plane_bytes[size]) + psf_bytes for size in boxes.size.tolist()]
    offsets = offsets_of(lengths)
    files = np.zeros(offsets[-1], np.uint8)
    memory = memoryview(files)  # type: ignore[arg-type] # NumPy's stubs know no buffers before Python 3.12.
    pixel_begins = offsets_of(_PIXEL_BYTES * boxes.size**2)
    image, variance = (memoryview(plane) for plane in _planes(exposure, boxes))
    for begin, size, first, last, cards, psf in zip(
        offsets[boxes.source].tolist(),
        boxes.size.tolist(),
        pixel_begins[:-1].tolist(),
        pixel_begins[1:].tolist(),
        _cards(exposure, boxes, sources),
        _psfs(exposure.psf, boxes),
        strict=True,
    ):
        at = begin
        for header, plane in ((image_header(size) % cards, image), (variance_header(size), variance)):
            memory[at : at + BLOCK_BYTES] = header
            at += BLOCK_BYTES
            memory[at : at + last - first] = plane[first:last]
            at += plane_bytes[size]
        memory[at : at + len(psf)] = psf
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(),
        len(sources),
        [pa.py_buffer(np.packbits(lengths > 0, bitorder="little")), pa.py_buffer(offsets), pa.py_buffer(files)],
    )


def _planes(exposure: Exposure, boxes: Boxes) -> tuple[bytes, bytes]:
    """Return the pixels of all boxes one after the other, and their variances, as FITS has them."""
    squares = (read_only(boxes.left), read_only(boxes.below), read_only(boxes.size))
    begins = read_only(offsets_of(boxes.size**2))
    scale = np.float32(exposure.nJy_per_count)
    image = _squares(read_only(exposure.image), squares, begins, scale, np.float32(np.nan))
    variance = _squares(read_only(exposure.variance), squares, begins, scale * scale, np.float32(np.inf))
    return image.astype(">f4").tobytes(), variance.astype(">f4").tobytes()


def _cards(exposure: Exposure, boxes: Boxes, sources: Sources) -> Iterator[tuple[float, ...]]:
    """Yield what goes into the header of each box; see `image_header`."""
    return zip(
        # Upstream subtracts one, so that x - CUTMINX counts pixels from one.
        (boxes.left + (exposure.origin[0] - 1)).tolist(),
        (boxes.below + (exposure.origin[1] - 1)).tolist(),
        (boxes.x - boxes.left + 1.0).tolist(),
        (boxes.y - boxes.below + 1.0).tolist(),
        # An exponent of three digits would not fit.
        *np.where(np.abs(boxes.matrix) < 1e-90, 0.0, boxes.matrix).reshape(-1, 4).T.tolist(),
        sources.ra[boxes.source].tolist(),
        sources.dec[boxes.source].tolist(),
        strict=True,
    )


def _psfs(psf: Psf, boxes: Boxes) -> Iterator[bytes]:
    """Yield the extension of each box that shows the PSF at its source, but for the last block's padding."""
    images = psf.images.reshape(len(psf.images), -1)
    header = psf_header(psf.images.shape[-1])

    def extension(image: FloatArray) -> bytes:
        return header + image.astype(">f8").tobytes()

    if len(images) == 1:
        yield from [extension(images[0])] * len(boxes)
    else:
        for coefficients in psf.coefficients(boxes.x, boxes.y):
            yield extension(coefficients @ images)


@njit(cache=True, error_model="numpy")
def _squares(
    pixels: Float32Array,
    squares: tuple[IntArray, IntArray, IntArray],
    begins: IntArray,
    scale: np.float32,
    outside: np.float32,
) -> Float32Array:
    """Return squares of an image, times a factor, one after the other."""
    height, width = pixels.shape
    lefts, belows, sizes = squares
    values = np.full(begins[-1], outside, np.float32)
    for i in range(len(sizes)):
        left, below, size = lefts[i], belows[i], sizes[i]
        square = values[begins[i] : begins[i + 1]].reshape((size, size))
        first, last = max(left, 0), min(left + size, width)
        for row in range(max(below, 0), min(below + size, height)):
            # Slices, because the compiler knows nothing of their bounds and would otherwise take one pixel at a time.
            given, taken = pixels[row, first:last], square[row - below, first - left : last - left]
            for k in range(len(given)):
                taken[k] = given[k] * scale
    return values
