"""Entry point of `python -m tracker.cli`, which is the same as `runfold`."""

from tracker.cli import main

if __name__ == "__main__":
    main()
