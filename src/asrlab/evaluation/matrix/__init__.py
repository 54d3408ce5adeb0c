"""The device matrix: every engine checked on every device, with the reason where a check failed or could not run.

``python -m asrlab.evaluation.matrix`` prints the table. ``--record`` writes a record, and ``--merge`` prints one table
of several records. Each cell, a model on a device, runs in a child process with a time limit.
"""
