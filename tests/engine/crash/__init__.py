"""Crashes on purpose, between any two system calls that change files."""
