"""What a session tells Prometheus: plain slots that it counts in, and a collector that reads them at a scrape.

Nothing here is waited for. The session's thread adds to ints, floats and lists; another thread reads them when it is
asked, and asks the broker for the rest with a deadline. prometheus_client is imported at the first scrape.
`docs/monitoring.md` says what each name means.
"""
