"""The pipeline on Kubernetes: PipelineSpecs for Kubeflow Pipelines and Vertex AI, and what their pods run.

Open-source Kubeflow Pipelines (KFP) executes containers and importers only: no resolvers, no driver of an ExampleGen.
So there a container looks for changed files (`ingest.py`) and for earlier runs (`resolvers.py`), the entry point of all
containers restores what KFP loses of artifacts (`container.py`, `artifacts.py`), and the spec that TFX compiles is
rewritten accordingly (`spec.py`, `resources.py`).
"""
