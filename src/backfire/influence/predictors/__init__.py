"""Predictors by hidden states: forward passes only. One is a module of this package and a line of `registry`."""
