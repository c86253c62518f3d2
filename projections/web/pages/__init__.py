"""One module a page: it asks the views, and returns the values of its template."""
