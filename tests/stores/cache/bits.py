"""Arrays of any bits at all, for the tests of packing."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

INT64 = st.integers(-(2**63), 2**63 - 1)
DOUBLE_BITS = st.integers(0, 2**64 - 1)


def arrays(draw, dtype, shape, elements):
    return draw(hnp.arrays(dtype, shape, elements=elements))


def doubles(draw, shape):
    """Any bits at all: signalling NaNs and payloads included."""
    return arrays(draw, np.uint64, shape, DOUBLE_BITS).view(np.float64)


def floats(draw, shape):
    return arrays(draw, np.uint32, shape, st.integers(0, 2**32 - 1)).view(np.float32)
