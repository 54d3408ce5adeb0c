"""The contract of an engine, and the transcriber that a user holds."""
