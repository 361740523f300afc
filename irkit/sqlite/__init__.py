"""Somebody's SQLite file: read without a trace, checked, copied whole, put back, and saved row by row."""
