"""The dashboard: a local web page over the metrics topic and the archive. It only reads."""
