"""Recordings of a stream: written, replayed, and exported as a table."""
