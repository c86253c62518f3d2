"""The runs that `runfold demo` shows: a generated week, and live ones."""
