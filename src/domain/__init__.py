"""The words of the field, in Interactive Brokers' own vocabulary. Frozen facts; no I/O, no clock, no thread."""
