"""Renderers: one file a format. Each has `render(report, options) -> str` and draws a `Report`, never a run."""

# Formats that hold the reports of several runs in one document: their `render` takes a sequence of reports.
DOCUMENTS = frozenset({"json", "html", "markdown", "sarif", "junit", "github"})
