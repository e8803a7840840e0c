"""Kafka's side: bytes to batches, outputs to bytes, and who has read what."""
