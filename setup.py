"""Packaging of Skymill: the packages, what each use of them needs, and the command."""

from pathlib import Path

from setuptools import find_packages, setup

VERSION = "0.1.0"
README = Path(__file__).parent / "README.md"  # container images are built without it

# The command line, the config and the manifest of a run: no TensorFlow.
BASE = [
    "click>=8.1",
    "numpy>=1.26",
    "pillow>=10",
    "pydantic>=2.7",
    "pydantic-core",
    "pyyaml>=6",
    "rich>=13",
]

# Asks a running server over REST or gRPC; has no TensorFlow either.
CLIENT = [
    "grpcio>=1.66",
    "protobuf>=5.29,<7",
    "urllib3>=2",
]

# Lets a client send GeoTIFFs.
GEOTIFF = [
    "affine>=2.4",
    "rasterio>=1.4",
    "shapely>=2",
]

# Loads a pushed model and answers TensorFlow Serving's API.
SERVER = [
    *CLIENT,
    "aiohttp>=3.9",
    "grpcio-health-checking>=1.66",
    "keras>=3.15,<4",
    "prometheus-client>=0.20",
    "simplejpeg>=1.8",
    "tensorflow>=2.21,<2.22",
    "tensorflow-serving-api>=2.19,<3",
    "uvloop>=0.19",
]

# Speaks gRPC's HTTP/2 in the server, with `grpc_library: ngh2`. Its interface may change until 1.0.
HTTP2 = ["ngh2>=0.3,<0.4"]

# Brings versions from a bucket into the folder that a server watches.
SYNC = ["obstore>=0.12"]

# Everything from a folder of images to a pushed model.
PIPELINE = [
    *SERVER,
    *GEOTIFF,
    *SYNC,
    "apache-beam>=2.70,<3",
    "boto3>=1.28",
    "cloudevents>=1.11,<2",
    "google-crc32c>=1.5",
    "isal>=1.7",
    "jinja2>=3.1",
    "kfp>=2.16,<2.17",
    "kfp-kubernetes>=2.16,<2.17",
    "kfp-pipeline-spec<2.17",
    "kfp-server-api<2.17",
    "keras-hub>=0.32,<1",
    "keras-tuner>=1.4.8,<2",
    "kubernetes>=23",
    "markupsafe>=2.1",
    "matplotlib>=3.8",
    "ml-metadata>=1.21,<1.22",
    "opencv-python-headless>=4.12",
    "pyarrow>=14",
    "pyogrio>=0.9",
    "pyproj>=3.6",
    "pystac>=1.11,<1.15",
    "pystac-client>=0.8,<1",
    "stac-model>=0.7,<1",
    "tensorboard>=2.19,<3",
    "tensorflow-data-validation>=1.21,<1.22",
    "tensorflow-metadata>=1.21,<1.22",
    "tensorflow-model-analysis>=0.52,<0.53",
    "tfx>=1.21,<1.22",
    "tfx-bsl>=1.21,<1.22",
    "zstandard>=0.22",
]

# Explains a model's answers by methods that need more than the model.
EXPLAIN = [
    "saliency>=0.2.1,<1",
    "scikit-image>=0.22",
    "numba>=0.60",  # older ones, which shap allows, have no wheels
    "shap>=0.46",
]

PACKAGES = ["components", "pipelines", "serving", "trainer"]

setup(
    name="skymill",
    version=VERSION,
    description="From a folder of images to a served model that can be trusted.",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=[*PACKAGES, *(f"{name}.*" for name in PACKAGES)]),
    package_data={"": ["*.json", "*.proto", "*.yaml", "py.typed", "templates/*"]},
    install_requires=BASE,
    extras_require={
        "client": CLIENT,
        "geotiff": GEOTIFF,
        "server": SERVER,
        "http2": HTTP2,
        "sync": SYNC,
        "pipeline": PIPELINE,
        "explain": EXPLAIN,
        "all": [*PIPELINE, *EXPLAIN, *HTTP2],
    },
    entry_points={"console_scripts": ["skymill = pipelines.cli:main"]},
)
