"""Records the calls that we, or the application's own client, make to a service."""
