"""One module per projection: the rows of its tables, made of folded runs."""
