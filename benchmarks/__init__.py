"""Where the README's metrics come from: each benchmark is a command."""
