"""One module for each kind of feature; all work alike on features of users, events and items."""
