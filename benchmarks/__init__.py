"""Where the README's figures come from: each benchmark is a command."""
