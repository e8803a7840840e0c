"""The dashboard: a local web page over the metrics topic and the APDB. It only reads."""
