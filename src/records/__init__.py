"""What is kept: accounts, and (in later versions) journal, metrics and recordings."""
