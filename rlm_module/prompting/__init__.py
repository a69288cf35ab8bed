"""What the models of a run are told and how their replies are read."""
