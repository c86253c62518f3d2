"""The exceptions that runfold raises. The branches tell the caller what to do next.

RunfoldError
├── SourceError                 a service's answer could not be used; no run has failed by it
│   ├── PollAgain               ask again later; nothing about the run is known to have changed
│   │   ├── Unreachable         no complete answer: refused, reset, timed out, service down
│   │   ├── UnusableAnswer      an answer that is not the one that was asked for
│   │   ├── RateLimited         the service refuses for now and may say until when
│   │   └── Busy                the service asks for the same request once more
│   └── StopPolling             asking again does not help until somebody changes something
│       ├── KeyRefused          the key is missing, wrong, without rights or without quota
│       ├── NotFound            the service knows no such thing
│       ├── RequestRefused      the service understood and refused the request
│       └── Misconfigured       the address does not lead to this API
├── PayloadError                a document is not a run (also a ValueError)
├── WebhookRefused              a webhook is not authentic: forged, changed or old
│   └── WebhookReplayed         one that was recorded already: answer it as a success
├── WaitTimeout                 the deadline passed before the run got there (also a TimeoutError)
├── UnknownRun                  nothing was ever recorded of that run (also a LookupError)
├── NotEnded                    runs that are to be forgotten have not ended: they would come back
├── AlreadyPolled               another tracker polls for this SQLite file
├── ToolArgumentsRefused    the arguments of a call do not fit its tool (also a ValueError)
├── ToolInterrupted         a call that is made once was interrupted, and is not made again
├── SettingsError               an argument, URL or name cannot be used (also a ValueError)
├── StoreError                  the event store failed; events that it acknowledged are safe
│   ├── ConcurrencyError        somebody else appended first: read again, decide again
│   ├── StoreUnavailable        the database cannot be reached or opened
│   └── UnreadableEvent         this release cannot read a recorded event; its run is left out
├── ExportFailed                an exporter did not accept the spans of a run; they are sent again
└── ViewsError                  the tables could not be read or brought up to date
    ├── SchemaError             the tables are of another release
    └── ProjectionFailed        the tables of a projection cannot be written; its checkpoint stays
        └── PricesDiffer        costs are priced with other settings than this process has
"""

from __future__ import annotations


class RunfoldError(Exception):
    """The base of all exceptions that runfold raises."""


class SourceError(RunfoldError):
    """A service's answer could not be used; the run it was asked about is unchanged."""

    # The number of requests that were sent for the answer.
    requests = 1
    # True for a POST of unknown outcome: look for what it began before you send it again.
    may_have_happened = False
    # Of an unsuccessful response; None without one.
    status: int | None = None


class PollAgain(SourceError):
    """Ask again later. `retry_after` is the wait that the service asked for, in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unreachable(PollAgain):
    """No complete answer came: refused, reset, timed out, or the service is down."""


class UnusableAnswer(PollAgain):
    """The answer is not the one that was asked for: no JSON, cut off, too large, another id."""

    # True if the service answered in full, and only this document cannot be used.
    is_complete = False


class RateLimited(PollAgain):
    """The service refuses for now; `retry_after` is set if it said for how long."""


class Busy(PollAgain):
    """The service asks for the same request once more: a conflict or a request timeout."""


class StopPolling(SourceError):
    """Asking again does not help until somebody changes something."""


class KeyRefused(StopPolling):
    """The key is missing, wrong, without the rights, or out of quota."""


class NotFound(StopPolling):
    """The service knows no such run, thread or step."""


class RequestRefused(StopPolling):
    """The service understood the request and refused it; the message quotes it."""


class Misconfigured(StopPolling):
    """The address does not lead to this API: a redirect, a page, a wrong base URL."""


class PayloadError(RunfoldError, ValueError):
    """A document is not a run; the message names the field that is missing or wrong."""


class WebhookRefused(RunfoldError):
    """A webhook is not authentic: forged, changed, too old, or without its headers."""


class WebhookReplayed(WebhookRefused):
    """A webhook was recorded already; if it is answered as a success, it is not sent again."""


class WaitTimeout(RunfoldError, TimeoutError):
    """The deadline passed before the run got there; it stays tracked."""


class UnknownRun(RunfoldError, LookupError):
    """Nothing was ever recorded of that run."""


class NotEnded(RunfoldError):
    """Runs that are to be forgotten have not ended; the message names some of them."""


class AlreadyPolled(RunfoldError):
    """Another tracker polls for this SQLite file; the message says which."""


class ToolArgumentsRefused(RunfoldError, ValueError):
    """The arguments of a call do not fit the annotations of its tool; the message says why."""


class ToolInterrupted(RunfoldError):
    """A call that is made once was interrupted: it may have been carried out, and stays so."""


class SettingsError(RunfoldError, ValueError):
    """An argument, URL or name cannot be used; the message says what can."""


class StoreError(RunfoldError):
    """The event store failed; events that it acknowledged are safe."""


class ConcurrencyError(StoreError):
    """Somebody else appended to a stream first: read it again and decide again."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, opened or written."""


class UnreadableEvent(StoreError):
    """This release cannot read a recorded event, so that its run cannot be continued."""


class ExportFailed(RunfoldError):
    """An exporter did not accept the spans of a run; they are sent again."""


class ViewsError(RunfoldError):
    """The tables could not be read or brought up to date."""


class SchemaError(ViewsError):
    """The tables are of another release; the message names the command that helps."""


class ProjectionFailed(ViewsError):
    """The tables of a projection cannot be written; its checkpoint stays where it is."""

    # The names of all projections that stopped.
    projections: tuple[str, ...] = ()


class PricesDiffer(ProjectionFailed):
    """A database is priced with other settings than this process has; the message says what helps.

    Its costs stay as they are; all other tables are brought up to date.
    """
