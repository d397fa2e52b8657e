"""Refine trading sessions: from B3's quotes, a line per ticker, market and term, to one row per stock.

What the job of AWS Glue 5.1 (PySpark 3.5) runs: `glue_scripts/refine.py` starts `run`, and the job gets this
package and `lake` beside the script (`--extra-py-files`). `transform` and what it calls are pure functions of
DataFrames; `run` reads the raw sessions, checks that nothing was lost, publishes the rows twice (wide: a
Parquet file for each session and ticker; compact: one for each session) and keeps a table for each in the
Glue Data Catalog. It refuses a session without raw quotes, raw files of another schema, and rows that do not
add up to the raw quotes: it then says what was expected and leaves refined files and catalog as they were.

A range goes in batches of sessions, so that it takes the memory of a batch, however long it is. Spark reads
and computes; the driver checks, and writes the files by S3's own API beside the next batch.
"""
