"""What the parts of the pipeline agree on: its keys, its currencies and the names of its parts."""
