"""What the findings say together: the level, the reasons in plain sentences, and what to do next."""
