"""Names of bands, however a table writes them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from stream_assoc.core.model.types import BANDS, IntArray


def band_name(value: object) -> object:
    """Return a band's name as text; FITS tables give bytes, and fill them up with spaces. What is no text stays."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip(" \0") if isinstance(value, str) else value


def band_names(values: Iterable[object]) -> list[object]:
    """Return the names of many bands, as `band_name`."""
    # Of a hundred thousand rows six values are different.
    codes, distinct = pd.factorize(np.array(list(values), dtype=object), use_na_sentinel=False)
    names = [band_name(one) for one in distinct]
    return [names[code] for code in codes]


def band_indices(values: Iterable[object]) -> IntArray:
    """Return the place in `~stream_assoc.core.model.types.BANDS` of each band, -1 where it is none of them."""
    return np.asarray(pd.Index(BANDS).get_indexer(pd.Index(band_names(values), dtype=object)), np.int64)
