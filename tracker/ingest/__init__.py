"""Records what others supply: payloads, webhooks, streams, and past runs."""
