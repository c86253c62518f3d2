"""HTTP requests to services. The only home of httpx."""
