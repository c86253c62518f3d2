"""One module per question that the views answer."""
