"""Worked examples, as a user would write them; the tests run them."""
