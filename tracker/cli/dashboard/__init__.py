"""The commands that show the runs as pages: a file, a server, and a view in the terminal."""
