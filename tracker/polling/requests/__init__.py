"""One module for each kind of request that the poller makes."""
