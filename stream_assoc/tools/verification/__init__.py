"""Judging a replay: what was sent against what came back, and one run against another."""
