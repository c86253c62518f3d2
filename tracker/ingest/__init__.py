"""Takes in what others hand over: payloads, webhooks, streams and past runs."""
