"""Exports of tables and answers as files, frames and records."""
