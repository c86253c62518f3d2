"""One module for each table: how its rows follow from folded runs."""
