"""The theoretical portfolio of an index of today, as pages of JSON."""
