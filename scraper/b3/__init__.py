"""What B3 publishes, a room for each dataset, and what they share: client, archives, calendar, errors.

The rooms have the same furniture. `layout.py` is the schema, written once: what B3's file holds, and the
columns of the raw tables, from which the stack makes its Glue tables and `tools.docs` the README's.
`address.py` is where B3 serves it. `reader.py` turns B3's bytes into rows, or refuses them with the reason.

Of a dataset there is besides: its keys in `lake.keys`, its table in `stacks/catalog.py`, how it is taken in
`scraper.daily`, what a simulated B3 serves of it in `sandbox.b3`, a target in `tests/fuzz`, rows in
`docs/faults.md`.
"""
