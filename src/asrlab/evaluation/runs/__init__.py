"""Runs: a data set through models, each in a process of its own."""
