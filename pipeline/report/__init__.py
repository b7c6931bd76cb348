"""A run as a page that a person reads: one HTML file with its plots inside."""
