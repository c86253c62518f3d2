"""Public names: exactly these, and each can be imported."""

import importlib

import pytest

PUBLIC = {
    "tracker": [
        "Backfilled",
        "BackgroundTracker",
        "Delivery",
        "EventStore",
        "RunSnapshot",
        "RunState",
        "RunfoldError",
        "Tracker",
        "open_event_store",
    ],
    "tracker.observability": ["PrometheusMetrics", "export_spans"],
    "tracker.sources": [
        "AgentTurns",
        "Answer",
        "Assistants",
        "HttpSource",
        "LangGraph",
        "PageSource",
        "Response",
        "Responses",
        "Run",
        "RunListSource",
        "RunStep",
        "RunToolCall",
        "Source",
        "counted",
        "decode",
        "read_stamp",
    ],
    "tracker.simulator": [
        "Faults",
        "ManualClock",
        "Parameters",
        "Refused",
        "Replay",
        "SimulatedClock",
        "Simulator",
        "SpeedClock",
        "TrueStep",
        "Truth",
        "serve",
    ],
    "projections": [
        "ActionRow",
        "CostRow",
        "Diagnosis",
        "Difference",
        "FailureRow",
        "HistoryDiff",
        "OpenRunRow",
        "PhaseRow",
        "Prices",
        "Pruned",
        "RowProjection",
        "Rows",
        "RunFilters",
        "RunHistory",
        "RunRow",
        "SessionUsageRow",
        "StatusCount",
        "StepRow",
        "StuckRow",
        "SumProjection",
        "TimingRow",
        "UnpricedRow",
        "UsageRow",
        "UtcDateTime",
        "Views",
        "dashboard",
        "fold",
        "metadata",
    ],
}


@pytest.mark.parametrize("package", PUBLIC)
def test_the_names_are_these(package: str) -> None:
    module = importlib.import_module(package)
    assert list(module.__all__) == PUBLIC[package]


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PUBLIC for name in PUBLIC[package]]
)
def test_a_name_leads_somewhere(package: str, name: str) -> None:
    module = importlib.import_module(package)
    assert getattr(module, name) is not None
    assert name in dir(module)


@pytest.mark.parametrize(
    "package", ["tracker", "tracker.observability", "tracker.sources", "projections"]
)
def test_another_name_is_an_attribute_error(package: str) -> None:
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        _ = module.nonsense


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    errors = importlib.import_module("tracker.errors")
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.RunfoldError)
    }
    drawn = {word for word in (errors.__doc__ or "").split() if word in kinds}
    assert drawn == kinds
