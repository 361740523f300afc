"""How memory moved between restarts, from a bundle alone: leaks told from all that looks like one."""
