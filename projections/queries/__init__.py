"""One module for each question that the views answer."""
