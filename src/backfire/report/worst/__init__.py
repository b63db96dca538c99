"""The pairs to look at first, as a page on which they are marked."""
