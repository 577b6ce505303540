"""The imperative shell: the only place where time is read, threads wait and files are opened."""
