"""Repair: from a preference data set to a better one, with what was changed, pair by pair, and why."""
