"""Find the fastest batching settings for a model on this machine."""
