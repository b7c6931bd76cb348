"""Push: a blessed and loadable model becomes the newest version under the serving folder, in one step."""
