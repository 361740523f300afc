"""Words and numbers made fit for whoever reads them: no colour, no terminal, no page."""
