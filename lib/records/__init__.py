"""Recorded runs: what is run, how it is trained, the record, and its fingerprint."""
