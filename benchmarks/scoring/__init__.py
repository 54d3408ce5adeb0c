"""What scoring and comparing cost as a corpus grows."""
