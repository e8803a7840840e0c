"""Whether a FITS file may be read: what its headers claim and its tiles decompress to, before either is believed."""

import io
import math
from typing import Any, Final

import numpy as np
from astropy.io import fits

from stream_assoc.photometry.exceptions import ImageDamagedError, ImageUnreadableError
from stream_assoc.photometry.image_bytes import Allowance, gunzipped

MAX_PIXELS: Final = 2**27
"""Eight detectors of Rubin. A few bytes of compressed data can claim to be any number of pixels."""

MAX_EXTENSIONS: Final = 100
"""More than any exposure has. A size below zero leads back into the file, and astropy would read on forever."""

MAX_HEADER_BYTES: Final = 2**20
"""Of one extension, 13,000 cards; astropy makes an object of each."""

MAX_TILES: Final = 2**17
"""Of one compressed image; each costs some work in Python."""

_BLOCK: Final = 2880
_CARD: Final = 80
_END: Final = b"END" + 77 * b" "
_GZIPPED_COLUMN: Final = "GZIP_COMPRESSED_DATA"


def check_bounds(payload: bytes, name: str, allowance: Allowance) -> None:
    """Refuse a file whose images are larger than allowed, all of them together.

    Parameters
    ----------
    payload : `bytes`
        A whole file, not compressed.
    name : `str`
        What a message calls it.
    allowance : `Allowance`
        Holds for the pixels as they will be in memory.

    Raises
    ------
    ImageTooLargeError, ImageUnavailableError
        If it is too large, or the check takes too long.
    ImageUnreadableError
        If it has too many extensions, cards, pixels or tiles.
    """
    n_bytes = 0
    with fits.open(io.BytesIO(payload), memmap=False, lazy_load_hdus=True, disable_image_compression=True) as hdus:
        begin = 0
        for number in range(MAX_EXTENSIONS + 1):
            _check_header(payload, begin)
            try:
                hdu = hdus[number]
            except IndexError:
                return
            if not hasattr(hdu, "fileinfo"):
                raise ImageDamagedError(f"extension {number} has a damaged header, or is of an unknown kind")
            info = hdu.fileinfo()
            begin = info["datLoc"] + info["datSpan"]
            is_tiled = isinstance(hdu, fits.BinTableHDU) and bool(hdu.header.get("ZIMAGE", False))
            n_bytes += _image_bytes(hdu.header, "Z" if is_tiled else "")
            allowance.check(n_bytes, name)
            if is_tiled:
                _check_tiles(hdu, payload[info["datLoc"] : begin], name, allowance)
    raise ImageUnreadableError(f"it has, or one of its sizes makes it seem to have, over {MAX_EXTENSIONS} extensions")


def _check_header(payload: bytes, begin: int) -> None:
    """Refuse a header without an end; one that the end of the file cuts is astropy's to judge."""
    end = begin + MAX_HEADER_BYTES
    for block in range(begin, min(end, len(payload)), _BLOCK):
        if any(payload[card : card + _CARD] == _END for card in range(block, block + _BLOCK, _CARD)):
            return
    if end < len(payload):
        raise ImageUnreadableError(f"one of its headers has more than {MAX_HEADER_BYTES} bytes")


def _image_bytes(header: fits.Header, prefix: str) -> int:
    """Return what the pixels of an extension take in memory, 0 for a table."""
    if not prefix and str(header.get("XTENSION", "IMAGE")).strip() != "IMAGE":
        return 0
    sides = _integers(header, f"{prefix}NAXIS")
    n_pixels = math.prod(sides) if sides else 0
    if n_pixels > MAX_PIXELS:
        raise ImageUnreadableError(
            f"its extension {header.get('EXTNAME', '')} claims {n_pixels} pixels; at most {MAX_PIXELS} are read"
        )
    return max(n_pixels, 0) * abs(int(header[f"{prefix}BITPIX"])) // 8


def _integers(header: fits.Header, prefix: str) -> list[int]:
    return [int(header[f"{prefix}{axis + 1}"]) for axis in range(int(header.get(prefix, 0)))]


def _check_tiles(hdu: fits.BinTableHDU, data: bytes, name: str, allowance: Allowance) -> None:
    header = hdu.header
    sides = _integers(header, "ZNAXIS")
    tile = [int(header.get(f"ZTILE{axis + 1}", side if axis == 0 else 1)) for axis, side in enumerate(sides)]
    if not all(side > 0 for side in (*sides, *tile)):
        raise ImageUnreadableError("an image or its tiles have a side that is not positive")
    if (n_tiles := math.prod(math.ceil(side / one) for side, one in zip(sides, tile, strict=True))) > MAX_TILES:
        raise ImageUnreadableError(f"an image is cut into {n_tiles} tiles; at most {MAX_TILES} are read")
    columns = [_GZIPPED_COLUMN] if _GZIPPED_COLUMN in hdu.columns.names else []
    if str(header.get("ZCMPTYPE", "")).strip().upper().startswith("GZIP"):
        columns.append("COMPRESSED_DATA")
    # No tile holds more than its pixels, in the widest type that there is.
    largest = 8 * math.prod(min(one, side) for one, side in zip(tile, sides, strict=True))
    heap = int(header.get("THEAP", int(header["NAXIS1"]) * int(header["NAXIS2"])))
    for column in columns:
        for length, offset in _descriptors(hdu, column):
            n_bytes = 0
            for chunk in gunzipped(data[heap + offset : heap + offset + length]):
                n_bytes += len(chunk)
                if n_bytes > largest:
                    raise ImageUnreadableError(
                        f"a tile decompresses to more than {largest} bytes, which its pixels cannot have"
                    )
            allowance.check(0, name)


def _descriptors(hdu: fits.BinTableHDU, column: str) -> list[list[Any]]:
    """Return length and offset in the heap of every tile."""
    rows = np.asarray(hdu.data).view(np.ndarray)[column]
    return rows.astype(np.int64).tolist() if rows.ndim == 2 else []
