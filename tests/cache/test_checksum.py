import zlib

import numpy as np
import pytest

from stream_assoc.cache.checksum import crc32_words


@pytest.mark.parametrize("n_words", [0, 1, 2, 3, 16, 17, 1000, 1001])
def test_it_is_the_checksum_of_zlib(n_words):
    content = np.random.default_rng(n_words).bytes(8 * n_words)
    assert int(crc32_words(np.frombuffer(content, np.uint64), 0, n_words)) == zlib.crc32(content)


def test_it_covers_only_the_words_asked_for():
    content = np.random.default_rng(1).bytes(80)
    assert int(crc32_words(np.frombuffer(content, np.uint64), 3, 8)) == zlib.crc32(content[24:64])
