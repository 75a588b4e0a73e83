"""Renderers: one file a format. Each has `render(report, options) -> str` and draws a `Report`, never a run."""
