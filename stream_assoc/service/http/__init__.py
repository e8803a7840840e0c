"""Serving HTTP beside a pipeline: what clients can take is bounded, however many and however slow they are."""
