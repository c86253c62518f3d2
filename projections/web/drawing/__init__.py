"""Pictures as SVG: timelines, phase bars, charts and the map of hours."""
