"""One module per chapter of specs/20-protocol.md, in the order data flows."""
