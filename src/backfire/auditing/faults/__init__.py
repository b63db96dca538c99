"""Findings of an audit: a module for each says how it is looked for and everything that is said of it."""
