import numpy as np
import pytest
import xxhash

from stream_assoc.cache.checksum import checksum_of_words


def reference(content: bytes) -> int:
    return xxhash.xxh64_intdigest(content) & 0xFFFF_FFFF


@pytest.mark.parametrize("n_words", [0, 1, 2, 3, 4, 5, 7, 8, 16, 17, 1000, 1001, 1002, 1003])
def test_it_is_the_lower_half_of_xxh64(n_words) -> None:
    content = np.random.default_rng(n_words).bytes(8 * n_words)
    assert int(checksum_of_words(np.frombuffer(content, np.uint64), 0, n_words)) == reference(content)


def test_it_covers_only_the_words_asked_for() -> None:
    content = np.random.default_rng(1).bytes(80)
    assert int(checksum_of_words(np.frombuffer(content, np.uint64), 3, 8)) == reference(content[24:64])
