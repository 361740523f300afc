"""Small real programs, each with a leak of a known owner or with none; `step` is one round of their work."""
