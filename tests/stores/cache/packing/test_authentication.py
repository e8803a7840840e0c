import numpy as np
import pytest

from stream_assoc.stores.cache.packing.authentication import BlobKey, CacheKeys, code_of_words, codes_of_blobs

KEY = BlobKey.of(bytes(range(16)))

PUBLISHED = {
    0: 0x726FDB47DD0E0E31,
    8: 0x93F5F5799A932462,
    16: 0x3F2ACC7F57C29BDB,
}
"""Of the first bytes 0, 1, 2, ... under the key 0 to 15: vectors of the authors' reference implementation."""

MASK = 2**64 - 1


def reference(content: bytes, key: bytes) -> int:
    """Return the SipHash-2-4 of whole words, written down from the paper with Python's own numbers."""
    first, second = (int.from_bytes(key[at : at + 8], "little") for at in (0, 8))
    v = [first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D]
    v += [first ^ 0x6C7967656E657261, second ^ 0x7465646279746573]

    def turn(x: int, n: int) -> int:
        return (x << n | x >> (64 - n)) & MASK

    def sip_round() -> None:
        v[0] = (v[0] + v[1]) & MASK
        v[1] = turn(v[1], 13) ^ v[0]
        v[0] = turn(v[0], 32)
        v[2] = (v[2] + v[3]) & MASK
        v[3] = turn(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & MASK
        v[3] = turn(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & MASK
        v[1] = turn(v[1], 17) ^ v[2]
        v[2] = turn(v[2], 32)

    last = (len(content) & 0xFF) << 56
    for word in [*np.frombuffer(content, "<u8").tolist(), last]:
        v[3] ^= word
        sip_round()
        sip_round()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        sip_round()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@pytest.mark.parametrize(("length", "code"), PUBLISHED.items())
def test_it_is_siphash_as_published(length: int, code: int) -> None:
    content = bytes(range(length))
    assert int(code_of_words(np.frombuffer(content, np.uint64), 0, length // 8, KEY)) == code
    assert reference(content, bytes(range(16))) == code


@pytest.mark.parametrize("n_words", [1, 2, 3, 4, 5, 31, 32, 33, 1000])
def test_it_covers_the_words_asked_for_under_any_key(n_words: int) -> None:
    random = np.random.default_rng(n_words)
    content, key = random.bytes(8 * (n_words + 5)), random.bytes(16)
    words = np.frombuffer(content, np.uint64)
    covered = content[16 : 16 + 8 * n_words]
    assert int(code_of_words(words, 2, 2 + n_words, BlobKey.of(key))) == reference(covered, key)


@pytest.mark.parametrize("n_blobs", [0, 1, 15, 16, 17, 32, 100])
def test_blobs_have_the_same_codes_together_as_alone(n_blobs: int) -> None:
    random = np.random.default_rng(n_blobs)
    # Some without a word, some with the code alone, some much longer than the others.
    lengths = random.choice([0, 1, 2, 3, 40, 41, 42, 43, 400], n_blobs)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    content, key = random.bytes(8 * int(starts[-1])), random.bytes(16)
    codes = codes_of_blobs(np.frombuffer(content, np.uint64), starts, BlobKey.of(key))
    assert codes.shape == (n_blobs,)
    for blob in np.flatnonzero(lengths).tolist():
        assert int(codes[blob]) == reference(content[8 * (int(starts[blob]) + 1) : 8 * int(starts[blob + 1])], key)


def test_keys_are_those_of_one_database_and_kind() -> None:
    keys = CacheKeys.drawn_from(b"secret", "database:3:layout")
    assert keys == CacheKeys.drawn_from(b"secret", "database:3:layout")
    others = [
        CacheKeys.drawn_from(b"other secret", "database:3:layout"),
        CacheKeys.drawn_from(b"secret", "other database:3:layout"),
        CacheKeys.random(),
        CacheKeys.random(),
    ]
    assert len({key for one in (keys, *others) for key in one}) == 10
