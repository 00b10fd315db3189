"""Charts as SVG text: no script, no external file, readable by shape as well as by colour."""
