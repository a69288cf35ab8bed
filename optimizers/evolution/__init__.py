"""One compile of `RLMGEPA`: which text is changed, what is proposed for it, what is run, and when it ends."""
