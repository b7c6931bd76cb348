"""Where a pipeline runs: in this process (`local`), or compiled for Kubeflow Pipelines and Vertex AI (`kubeflow`)."""
