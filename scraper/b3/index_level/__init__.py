"""The daily closes of an index, a year an answer, as a grid of days and months in JSON."""
