"""One module for each type of request that the poller sends."""
