"""What is known of a label without the network: levels of users and items, and a user's labels of near items."""
