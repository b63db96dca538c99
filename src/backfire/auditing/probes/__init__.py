"""How far the label is told by features of the responses: cross-fitted probes with intervals and swapped controls."""
