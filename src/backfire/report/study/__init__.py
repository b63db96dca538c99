"""A study's results: the table, the page and its pictures."""
