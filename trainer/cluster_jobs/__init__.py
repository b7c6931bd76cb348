"""The job on a cluster in which several workers train: its manifest, and the step that submits it and waits for it."""
