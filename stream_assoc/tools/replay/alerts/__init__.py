"""Alert packets of surveys, as files or on a topic, read as batches."""
