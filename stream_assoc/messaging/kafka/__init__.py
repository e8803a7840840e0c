"""Kafka: reading, publishing and topics. Nothing here knows a schema."""
