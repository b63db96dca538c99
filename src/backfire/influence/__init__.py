"""Safety influence: what training on a data set, or on one pair of it, does to refusing, before anything is trained."""
