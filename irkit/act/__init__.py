"""Guarded changes of a system: the contract of actions, the engine that records them, and what they stand on."""
