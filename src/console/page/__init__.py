"""The session on a page in a browser: one page, on loopback, which asks nothing of anywhere else."""
