"""Collect evidence: the contract of collectors, the engine that bounds them, and the process that runs them."""
