"""Time and memory of reading data sets, as they grow."""
