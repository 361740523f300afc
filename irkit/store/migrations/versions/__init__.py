"""One file a revision; none is ever changed once released."""
