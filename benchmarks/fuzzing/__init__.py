"""Fuzzing of the decoders with mutated files of every container that libsndfile and FFmpeg's libraries can write."""
