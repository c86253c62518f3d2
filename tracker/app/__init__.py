"""The tracker itself: its public classes, and the one place where its parts are wired."""
