"""Plots of a comparison as SVG text: no script, no file beside them, legible by shape as well as by colour."""
