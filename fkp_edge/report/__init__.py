"""Reports for people: Markdown, one HTML page, and plots."""
