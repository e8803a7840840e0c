"""What is measured of every batch, and how it is shown to Prometheus."""
