"""Recorded and simulated batches, sent again at any pace.

A replay is a chain of iterators: a reader gives messages in order, a plan
leaves some out, repeats or shuffles them, a pacing says when each is due, and
the runner sends them and accounts for every one.
"""
