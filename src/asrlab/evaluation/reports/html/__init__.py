"""Runs as one HTML file that needs no network. Importing this package loads nothing."""
