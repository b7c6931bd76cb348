"""Where a pipeline runs: in this process (`local`), or in pods of Kubeflow Pipelines and Vertex AI (`kubeflow`)."""
