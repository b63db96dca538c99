"""The audit on the terminal and on its page, and the conditions of `--fail-on`."""
