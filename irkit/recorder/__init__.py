"""The flight recorder: a look at every source every few seconds, into a ring on disk."""
