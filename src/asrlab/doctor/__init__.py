"""Checks of the environment, with the commands that repair it."""
