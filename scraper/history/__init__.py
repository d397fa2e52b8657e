"""History: B3's annual files, divided into sessions, and what they revise."""
