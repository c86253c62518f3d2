"""The simulated service itself: its runs, their lives and its clock."""
