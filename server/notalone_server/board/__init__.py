"""The board: log, bundles in transit, blobs. Owns availability; refuses to know what they contain."""
