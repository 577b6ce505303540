"""Servers on the simulated exchange: programs that speak another wire trade on it without knowing."""
