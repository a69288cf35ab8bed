"""What coming iterations of a loop will ask of the host, found without running them: what `ahead.py` starts early."""
