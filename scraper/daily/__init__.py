"""The daily path: the sessions that the raw bucket lacks, each morning, and what is new in their files."""
