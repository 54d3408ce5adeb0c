"""Reports on runs: the metrics of one run, comparisons of several, and HTML pages."""
