"""Where the numbers of docs/benchmarks.md come from: each benchmark is a command."""
