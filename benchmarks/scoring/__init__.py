"""Growth of time and memory of scores and comparisons with the size of a corpus."""
