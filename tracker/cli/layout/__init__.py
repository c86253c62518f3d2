"""What tables and pictures look like in a terminal of any width."""
