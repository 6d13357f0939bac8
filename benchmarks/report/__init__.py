"""The report: one self-contained HTML page with tables and SVG plots, made from the results."""
