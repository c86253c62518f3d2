"""Pages, a report of one file and a view for the terminal, made from the answers of the views."""
