"""The SavedModel: signatures, index, user snapshot, warm-up requests, golden responses."""
