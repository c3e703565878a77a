"""Looking back at a run: its stored steps on topics again, and as films."""
