"""Messages in and out: Avro makes and reads them, Kafka carries them."""
