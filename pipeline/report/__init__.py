"""The report of a run: one HTML file with its plots inside, and its metrics as JSON."""
