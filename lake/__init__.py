"""What the parts of the pipeline agree on: the keys of the lake, and what one names and another looks for."""
