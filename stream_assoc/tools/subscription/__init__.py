"""The subscriber's side: the output topics as an iterator of typed records.

`subscribe` is also ``stream_assoc.subscribe``, where it is imported when it is
first used.
"""
