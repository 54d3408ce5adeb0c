"""Mutated audio files of every container that libsndfile and FFmpeg's libraries can write."""
