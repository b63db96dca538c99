"""Single pairs as they are trained on: the terminal and the page of `show`."""
