"""Alerts: a daemon of its own that reads which batches are committed, and publishes an alert for each source."""
