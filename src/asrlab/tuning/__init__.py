"""Fastest batching settings for a model on this machine, and where they are kept."""
