"""Answers on the terminal: each module gives the lines, warnings and tables of one command's answer, in their order."""
