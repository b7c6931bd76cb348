"""What the exported model answers, one module for each family of signatures."""
