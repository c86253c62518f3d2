"""Tells the refusals (429) of a source's rate from those of single runs, threads or assistants.

A limit of the source refuses whatever is sent too soon, and answers it later. A limit of a run's
own refuses that run again and again while others are answered.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# Answers to others between two refusals of one subject that make the refusals its own.
_OTHERS_ANSWERED = 3
# While a cut is in doubt, further refusals cut again where they are more than this part of the
# answers since, and more than so many.
_TOO_MANY, _FEW = 0.25, 2
# Different subjects refused in a row, from which on a hold is kept to its end.
_FIRM = 3
# So many subjects in a row whose refusals were their own: the next one is taken for another.
_OWN_IN_A_ROW = 2
_MOST_SUBJECTS = 20_000

Verdict = Literal["cut", "doubt", "own"]


class Refused(NamedTuple):
    """The refusals in a row of one subject."""

    times: int
    # The answers of the source until the last of them.
    answered: int
    # True if others were answered meanwhile, so that they say nothing about the source.
    is_own: bool = False


class Refusals:
    """The refusals of one source. A subject is a thread, a run without one, or another request."""

    def __init__(self) -> None:
        self._refused: dict[str, Refused] = {}
        # Those whose refusals led to the last cut, until one of them is answered.
        self._suspects: set[str] = set()
        # Answers so far; and since the last cut: answers, refusals.
        self._answered = 0
        self._answered_at_cut = 0
        self._refused_since_cut = 0
        # Subjects found to be refused alone since the rate was last found to be refused.
        self._own_in_a_row = 0
        # Those refused since the last answer, and how often.
        self._in_a_row: set[str] = set()
        self.in_a_row = 0

    @property
    def are_firm(self) -> bool:
        """True if so many different subjects were refused in a row that the source must be it."""
        return len(self._in_a_row) >= _FIRM

    @property
    def is_cut_in_doubt(self) -> bool:
        """True until it is known whose refusals led to the last cut."""
        return bool(self._suspects)

    def is_in_a_row(self, subject: str) -> bool:
        """True if a subject was refused since the last answer."""
        return subject in self._in_a_row

    def times(self, subject: str) -> int:
        """Returns how many times in a row a subject was refused."""
        known = self._refused.get(subject)
        return 0 if known is None else known.times

    def is_own(self, subject: str) -> bool:
        """True if a subject is refused while others are answered."""
        known = self._refused.get(subject)
        return known is not None and known.is_own

    def on_refusal(self, subject: str) -> Verdict:
        """Counts a refusal.

        Returns "cut" if the rate is to be cut, "own" if the subject alone is refused, and "doubt"
        if the answers to come will tell.
        """
        known = self._refused.pop(subject, None)
        is_own = known is not None and (
            known.is_own or self._answered - known.answered >= _OTHERS_ANSWERED
        )
        times = 1 if known is None else known.times + 1
        self._refused[subject] = Refused(times, self._answered, is_own)
        if len(self._refused) > _MOST_SUBJECTS:
            del self._refused[next(iter(self._refused))]
        if is_own:
            self._suspects.discard(subject)
            self._own_in_a_row += known is not None and not known.is_own
            return "own"
        self._in_a_row.add(subject)
        self.in_a_row += 1
        self._refused_since_cut += 1
        if self._own_in_a_row >= _OWN_IN_A_ROW and not self.are_firm:
            return "own"
        answered = self._answered - self._answered_at_cut
        is_doubted = bool(self._suspects)
        self._suspects.add(subject)
        if is_doubted and self._refused_since_cut <= max(_FEW, _TOO_MANY * answered):
            return "doubt"
        self._answered_at_cut, self._refused_since_cut = self._answered, 0
        return "cut"

    def on_answer(self, subject: str) -> bool:
        """Counts an answer. Returns True if it shows that the source's rate was to be cut."""
        self._answered += 1
        if self._in_a_row:
            self._in_a_row.clear()
            self.in_a_row = 0
        if not self._refused or (known := self._refused.pop(subject, None)) is None:
            return False
        if not known.is_own:
            self._own_in_a_row = 0
        if subject not in self._suspects:
            return False
        self._suspects.clear()
        return True

    def acquit_all(self) -> None:
        """Marks the refusals that led to the last cut as those of their subjects alone."""
        for subject in self._suspects:
            self._refused[subject] = self._refused[subject]._replace(is_own=True)
        self._own_in_a_row += len(self._suspects)
        self._suspects.clear()

    def forget(self, subject: str) -> None:
        """Drops a subject that is not asked about any more."""
        if self._refused.pop(subject, None) is not None:
            self._in_a_row.discard(subject)
            self._suspects.discard(subject)
