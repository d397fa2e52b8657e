"""The raw bucket: how content gets into it, and where it comes from."""
