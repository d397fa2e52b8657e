"""A simulated B3: the exchange's file formats, a market that fills them, a server at B3's paths.

Nothing here is B3's data, and of the scraper only the calendar is used: what reads these files has to agree
with the published layouts, not with itself.
"""
