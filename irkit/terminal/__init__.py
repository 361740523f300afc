"""What irkit says in a terminal: drawn here as data, and said by `console` alone."""
