"""What the pipeline needs from the outside, as protocols that the adapters satisfy."""
