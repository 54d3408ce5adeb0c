"""Runs: a data set with several models, each in a process of its own, with a record of every outcome."""
