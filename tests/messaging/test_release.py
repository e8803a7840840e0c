from stream_assoc.core.association.new_objects import TooManyNewObjectsError
from stream_assoc.core.model.messages import RELEASE_HEADER
from stream_assoc.messaging.authority import QUARANTINE, with_release

OTHERS = (("producer", b"simulator"), (RELEASE_HEADER, b"something else"), ("producer", b"again"))


def test_released_headers_keep_the_others_and_say_so_once() -> None:
    released = with_release(OTHERS)
    assert released == with_release(released) == (OTHERS[0], OTHERS[2], (RELEASE_HEADER, b"quarantine"))


def test_what_is_released_is_what_is_quarantined() -> None:
    assert TooManyNewObjectsError.reason == QUARANTINE
