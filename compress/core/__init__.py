"""The base of all other folders: artifacts, settings, errors, the machine, and files that are written completely or not at
all.
"""
