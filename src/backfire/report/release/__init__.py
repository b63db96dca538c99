"""A release check: the page for a pull request."""
