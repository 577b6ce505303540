"""One account at one venue behind one protocol, and the user's facade over it."""
