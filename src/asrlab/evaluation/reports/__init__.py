"""What runs show: the figures of one, and the comparison of several. Importing this package loads nothing."""
