"""A service asked over HTTP how it is, and what its answer means."""
