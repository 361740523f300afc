"""Reports where others read them: the site and its server, and a report as PDF, Markdown and JSON."""
