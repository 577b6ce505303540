"""Understudy: a trading client for Interactive Brokers that can play every part itself."""
