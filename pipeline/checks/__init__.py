"""What can be found wrong before any work starts."""
