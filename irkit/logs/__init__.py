"""Log lines into tables: formats, requests, queries, and patterns."""
