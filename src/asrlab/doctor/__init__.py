"""Checks of an environment, and what they run in processes of their own."""
