"""The command line of `python -m scraper`, beyond what `__main__` holds; no part of the functions."""
