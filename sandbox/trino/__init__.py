"""A Trino on this machine, to answer the emulator's Athena: installed on demand, started, asked.

Athena engine version 3 is Trino, of a version that AWS does not name and with changes of AWS's own. This is
Trino 435, the last that runs on the Java that the sandbox has already.
"""
