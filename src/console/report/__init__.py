"""A session's report as a page, a table or JSON."""
