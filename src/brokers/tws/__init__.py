"""The Broker protocol over TWS or IB Gateway, by ib_insync or ib_async. Importing this imports neither of them."""

from src.brokers.tws.opening import open_tws

__all__ = ["open_tws"]
