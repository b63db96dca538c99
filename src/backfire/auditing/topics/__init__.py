"""The topics of the prompts: found on a sample, given to every pair, and set beside source, decision and predicted push."""
