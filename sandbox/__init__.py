"""The pipeline, whole, on this machine: an emulated AWS, Spark and B3, with no account and no Docker."""
