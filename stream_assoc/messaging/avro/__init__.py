"""Avro: schemas, codecs, outputs and dead letters. Nothing here knows Kafka."""
