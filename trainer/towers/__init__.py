"""The two towers: the query from user, context and history; the candidate from the item's id and features."""
