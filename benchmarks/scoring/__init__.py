"""Time and memory of scoring and comparing, as a corpus grows."""
