"""Tables and answers as files, frames and records."""
