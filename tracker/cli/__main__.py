"""`python -m tracker.cli` is `runfold`."""

from tracker.cli import main

if __name__ == "__main__":
    main()
